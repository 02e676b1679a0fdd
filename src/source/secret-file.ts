import { readFileSync, statSync } from 'node:fs'
import { ClientCertConfigError } from '../errors.js'
import { warnOfFilePermissions } from '../file-permissions.js'
import { limits } from '../limits.js'

/** Reads a file of secrets, one on each line; blank lines are passed over. Throws {@link ClientCertConfigError} that names the path; warns where others know them. */
export function readSecrets(option: string, path: unknown): readonly string[] {
  if (typeof path !== 'string' || path === '') throw new ClientCertConfigError(`${option}: file is a path`)
  try {
    if (statSync(path).size > limits.secretFileBytes) {
      throw new ClientCertConfigError(
        `${option}: ${path} has more than ${limits.secretFileBytes} octets — is it the right file?`,
      )
    }
    const secrets = readFileSync(path, 'utf8')
      .split(/\r?\n/)
      .filter((line) => line !== '')
    if (secrets.length === 0)
      throw new ClientCertConfigError(
        `${option}: ${path} is empty — openssl rand -hex 32 > ${path} && chmod 600 ${path}`,
      )
    warnOfFilePermissions([path], { secret: true })
    return secrets
  } catch (error) {
    if (error instanceof ClientCertConfigError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new ClientCertConfigError(
      `${option}: cannot read ${path} (${code ?? 'unknown error'}) — is the path right?`,
      {
        cause: error,
      },
    )
  }
}
