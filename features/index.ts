/** The package `tidemark`: what a project's definition files import. */
export { entity, stream, table, featureView, featureService, defineConfig } from './authoring/definitions.ts'
export type {
  EntityDefinition,
  Expectation,
  FeatureVector,
  ProjectConfig,
  ServiceDefinition,
  SourceDefinition,
  ViewDefinition,
} from './authoring/definitions.ts'
export { t } from './authoring/types.ts'
export type { EventOf, TypeNode } from './authoring/types.ts'
export { count, countWhere, first, last, latest, max, mean, min, sum } from './authoring/aggregations.ts'
export { TidemarkError, isTidemarkError } from './errors/tidemark-error.ts'
