import { LocalFiles } from './local-files.ts'
import type { TableFile, TableFiles } from './table-files.ts'

export interface TableFilesOptions {
  /** That paths and globs start from. */
  readonly folder: string
  /** Epoch ms, of the machine that its files lie on. */
  readonly wallClock: () => number
  /** A fresh local path that ends so. */
  readonly temporaryPath: (suffix: string) => Promise<string>
}

/** Files of a folder, and of S3 where a name begins with `s3://`: its client is loaded when the first is asked for. */
export function openTableFiles({ folder, wallClock, temporaryPath }: TableFilesOptions): TableFiles {
  const local = new LocalFiles(folder, wallClock)
  let opened: Promise<TableFiles> | null = null
  const s3 = (): Promise<TableFiles> =>
    (opened ??= import('./s3-files.ts').then(({ S3Files }) => new S3Files(temporaryPath)))
  const holder = async ({ name }: TableFile): Promise<TableFiles> => (isS3(name) ? s3() : local)
  return {
    async find(globs) {
      const far = globs.filter(isS3)
      const near = await local.find(globs.filter((glob) => !isS3(glob)))
      return far.length === 0 ? near : [...near, ...(await (await s3()).find(far))]
    },
    settled: async (file, signal) => (await holder(file)).settled(file, signal),
    open: async (file) => (await holder(file)).open(file),
    async close() {
      await (await opened)?.close()
    },
  }
}

function isS3(name: string): boolean {
  return name.startsWith('s3://')
}
