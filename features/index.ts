/** The package `tidemark`: what a project's definition files import. */
export { entity, stream, table } from './authoring/definitions.ts'
export type { EntityDefinition, SourceDefinition } from './authoring/definitions.ts'
export { featureView } from './authoring/feature-view.ts'
export type { Expectation, ViewDefinition } from './authoring/feature-view.ts'
export { featureService } from './authoring/feature-service.ts'
export type { FeatureVector, ServiceDefinition } from './authoring/feature-service.ts'
export { defineConfig } from './authoring/project-config.ts'
export type { ProjectConfig } from './authoring/project-config.ts'
export { avro, json, jsonSchema, protobuf } from './authoring/formats.ts'
export type { AvroOptions, Format, ProtobufOptions } from './authoring/formats.ts'
export { t } from './authoring/types.ts'
export type { EventOf, TypeNode } from './authoring/types.ts'
export {
  all,
  any,
  approxDistinctCount,
  bottomN,
  count,
  countWhere,
  decayedCount,
  decayedSum,
  distinctCount,
  first,
  firstN,
  histogram,
  kurtosis,
  last,
  lastN,
  latest,
  max,
  mean,
  min,
  quantile,
  skewness,
  stddev,
  sum,
  topN,
  valueCounts,
  variance,
  vectorMean,
  vectorSum,
} from './authoring/aggregations.ts'
export type { Aggregations } from './authoring/aggregations.ts'
export { TidemarkError, isTidemarkError } from './errors/tidemark-error.ts'
