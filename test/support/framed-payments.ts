import avsc from 'avsc'
import { framed } from './decode-source.ts'

export const PAYMENT_SCHEMA = {
  type: 'record',
  name: 'Payment',
  fields: [
    { name: 'card', type: 'string' },
    { name: 'amount', type: 'double' },
    { name: 'at', type: 'long' },
  ],
} as const
const TYPE = avsc.Type.forSchema(PAYMENT_SCHEMA as unknown as avsc.Schema)

/** A record behind the id of its schema. */
export function payment(id: number, card: string, amount = 1): Buffer {
  return framed(id, TYPE.toBuffer({ card, amount, at: Date.UTC(2024, 4, 1) }))
}
