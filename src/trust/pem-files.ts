import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ClientCertConfigError } from '../errors.js'
import { warnOfDirectoryPermissions, warnOfFilePermissions } from '../file-permissions.js'
import { limits } from '../limits.js'

/** One file as it was read. */
export interface OperatorFile {
  readonly path: string
  readonly bytes: Uint8Array
}

/** What the files of an operator hold: how they are recognised in a directory, and how large one may be. */
export interface FileKind {
  /** Endings of names, in lower case. */
  readonly endings: readonly string[]
  readonly maximumBytes: number
  /** What to put into an empty directory. */
  readonly content: string
  /** An empty directory says something, too. */
  readonly mayBeEmpty?: boolean
}

export const trustFiles: FileKind = {
  endings: ['.pem', '.crt', '.cer', '.der'],
  maximumBytes: limits.trustFileBytes,
  content: 'CA certificates',
}

/**
 * Reads one file. Throws {@link ClientCertConfigError} that names the option, the path and what to do; warns where everybody on this machine may
 * change it.
 */
export function readOperatorFile(option: string, path: string, kind: FileKind = trustFiles): OperatorFile {
  const file = read(option, path, kind)
  warnOfFilePermissions([path])
  return file
}

function read(option: string, path: string, { maximumBytes }: FileKind): OperatorFile {
  const size = attempt(option, path, () => {
    const stats = statSync(path)
    if (stats.isDirectory())
      throw new ClientCertConfigError(`${option}: ${path} is a directory — write { directory: '${path}' }`)
    return stats.size
  })
  if (size > maximumBytes) {
    throw new ClientCertConfigError(
      `${option}: ${path} has ${size} octets, the limit is ${maximumBytes} — is it the right file?`,
    )
  }
  return { path, bytes: attempt(option, path, () => readFileSync(path)) }
}

/** Reads a file, or every certificate file of a directory. */
export function readTrustPath(option: string, path: string): OperatorFile[] {
  const isDirectory = attempt(option, path, () => statSync(path).isDirectory())
  return isDirectory ? readOperatorDirectory(option, path) : [readOperatorFile(option, path)]
}

/**
 * Reads every file of a kind in a directory, in name order; certificates: `.pem .crt .cer .der`. Hidden names are passed over, so that the
 * `..data` links of a Kubernetes mount are read once, through the names that point into them. Warns as {@link readOperatorFile} does.
 */
export function readOperatorDirectory(option: string, path: string, kind: FileKind = trustFiles): OperatorFile[] {
  const { endings, content } = kind
  const names = attempt(option, path, () => readdirSync(path)).filter(
    (name) => !name.startsWith('.') && endings.some((ending) => name.toLowerCase().endsWith(ending)),
  )
  if (names.length === 0 && kind.mayBeEmpty !== true) {
    throw new ClientCertConfigError(`${option}: ${path} holds no ${endings.join(', ')} file — put the ${content} there`)
  }
  const files = names.sort().map((name) => read(option, join(path, name), kind))
  warnOfDirectoryPermissions(
    path,
    files.map((file) => file.path),
  )
  return files
}

function attempt<T>(option: string, path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof ClientCertConfigError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new ClientCertConfigError(
      `${option}: cannot read ${path} (${code ?? 'unknown error'}) — ${adviceFor(code)}`,
      { cause: error },
    )
  }
}

/** Whether reading failed, and not what was read: it may succeed the next time, although nothing was changed. */
export const isReadFailure = (error: unknown): boolean =>
  error instanceof ClientCertConfigError && (error.cause as NodeJS.ErrnoException | undefined)?.syscall !== undefined

function adviceFor(code: string | undefined): string {
  if (code === 'ENOENT') return 'is the path right? It is relative to the working directory of the process'
  if (code === 'EACCES' || code === 'EPERM') return 'let the user this process runs as read it'
  if (code === 'ENOTDIR') return 'write { file: … } for a single file'
  return 'make it readable'
}
