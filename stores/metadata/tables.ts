/** Tables of the metadata store. JSON as text, booleans as integers, times as epoch ms. */
export interface MetadataTables {
  progress: { scope: string; key: string; value: string }
}
