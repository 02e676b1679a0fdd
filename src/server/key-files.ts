import { readFileSync, statSync } from 'node:fs'
import { ClientCertConfigError } from '../errors.js'
import { limits } from '../limits.js'

/** Reads a file of the server's own key or certificate. Throws {@link ClientCertConfigError} that names it. */
export function readKeyFile(option: string, path: string): Buffer {
  try {
    const { size } = statSync(path)
    if (size === 0) throw new ClientCertConfigError(`${option}: ${path} is empty — write it anew, and rename it`)
    if (size > limits.credentialFileBytes)
      throw new ClientCertConfigError(
        `${option}: ${path} has ${size} octets, the limit is ${limits.credentialFileBytes}`,
      )
    return readFileSync(path)
  } catch (error) {
    if (error instanceof ClientCertConfigError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new ClientCertConfigError(
      `${option}: cannot read ${path} (${code ?? 'unknown error'}) — is the path right, and may this process read it?`,
      { cause: error },
    )
  }
}

/** Who else may read or change a key file; undefined where nobody may, and where modes mean nothing (Windows). */
export function laxPermissions(path: string): string | undefined {
  if (process.platform === 'win32') return undefined
  try {
    const mode = statSync(path).mode & 0o777
    const others = (mode & 0o004) !== 0 ? 'everybody on this machine may read it' : undefined
    const writers = (mode & 0o022) !== 0 ? 'others than its owner may change it' : undefined
    const reason = others ?? writers
    return reason && `${path} has mode 0${mode.toString(8)}: ${reason}`
  } catch {
    return undefined
  }
}
