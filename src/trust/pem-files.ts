import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ClientCertConfigError } from '../errors.js'
import { limits } from '../limits.js'

/** One file as it was read. */
export interface TrustFile {
  readonly path: string
  readonly bytes: Uint8Array
}

const extensions = ['.pem', '.crt', '.cer', '.der']

/** Reads one file. Throws {@link ClientCertConfigError} that names the option, the path and what to do. */
export function readTrustFile(option: string, path: string): TrustFile {
  const size = attempt(option, path, () => {
    const stats = statSync(path)
    if (stats.isDirectory())
      throw new ClientCertConfigError(`${option}: ${path} is a directory — write { directory: '${path}' }`)
    return stats.size
  })
  if (size > limits.trustFileBytes) {
    throw new ClientCertConfigError(
      `${option}: ${path} has ${size} octets, the limit is ${limits.trustFileBytes} — is it the right file?`,
    )
  }
  return { path, bytes: attempt(option, path, () => readFileSync(path)) }
}

/** Reads a file, or every certificate file of a directory. */
export function readTrustPath(option: string, path: string): TrustFile[] {
  const isDirectory = attempt(option, path, () => statSync(path).isDirectory())
  return isDirectory ? readTrustDirectory(option, path) : [readTrustFile(option, path)]
}

/**
 * Reads every certificate file of a directory, in name order: `.pem .crt .cer .der`. Hidden names are passed over, so that the `..data`
 * links of a Kubernetes mount are read once, through the names that point into them.
 */
export function readTrustDirectory(option: string, path: string, { mayBeEmpty = false } = {}): TrustFile[] {
  const names = attempt(option, path, () => readdirSync(path)).filter(
    (name) => !name.startsWith('.') && extensions.some((extension) => name.toLowerCase().endsWith(extension)),
  )
  if (names.length === 0 && !mayBeEmpty) {
    throw new ClientCertConfigError(
      `${option}: ${path} holds no ${extensions.join(', ')} file — put the CA certificates there`,
    )
  }
  return names.sort().map((name) => readTrustFile(option, join(path, name)))
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

function adviceFor(code: string | undefined): string {
  if (code === 'ENOENT') return 'is the path right? It is relative to the working directory of the process'
  if (code === 'EACCES' || code === 'EPERM') return 'let the user this process runs as read it'
  if (code === 'ENOTDIR') return 'write { file: … } for a single file'
  return 'make it readable'
}
