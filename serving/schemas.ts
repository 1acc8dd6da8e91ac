const ROWS = { type: 'array', items: { type: 'object' } } as const

/** Schema of POST /v1/features/{service}. */
export const FEATURES_ROUTE = {
  summary: 'Feature vectors of entities, with statuses and stamps',
  params: { type: 'object', properties: { service: { type: 'string' } }, required: ['service'] },
  body: {
    type: 'object',
    required: ['entities'],
    additionalProperties: false,
    properties: { entities: { ...ROWS, minItems: 1, maxItems: 10_000 }, request: ROWS },
  },
} as const
