import { isDeepStrictEqual } from 'node:util'
import { ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import { warnOfFilePermissions } from '../file-permissions.js'
import { readUnchanged, watchFiles } from '../file-watch.js'
import { type LoadContext, millisecondsOf, Refresher, reasonOf } from '../refresher.js'
import { ReloadNews } from '../reload-events.js'
import { warn } from '../warn.js'
import { laxPermissions, readKeyFile } from './key-files.js'
import type { ServerCredentials } from './server-context.js'

/** Paths of the server's own key and certificate, read now and watched. */
export type CredentialFiles =
  | { readonly key: string; readonly cert: string; readonly passphrase?: string }
  | { readonly pfx: string; readonly passphrase?: string }

/** Asks a secret manager for the server's own key and certificate. */
export interface CredentialProvider {
  load: (context: LoadContext) => ServerCredentials | Promise<ServerCredentials>
  /** Milliseconds from one load to the next. Default 3,600,000, an hour. */
  refresh?: number
  /** Milliseconds after which one load is given up. Default 30,000. */
  timeout?: number
}

/** Takes credentials into use, or throws and has changed nothing. */
type Apply = (credentials: ServerCredentials) => void

export interface CredentialSource {
  ready(): Promise<void>
  close(): void
}

const where = 'superviseServer: credentials'

/** Reads the server's own key and certificate, now and whenever they change. What does not go together changes nothing. */
export function openCredentials(options: CredentialFiles | CredentialProvider, apply: Apply): CredentialSource {
  if (typeof options !== 'object' || options === null)
    throw new ClientCertConfigError(`${where}: expected { key, cert } or { pfx } with paths, or { load }`)
  return 'load' in options ? fromProvider(options, apply) : fromFiles(options, apply)
}

function fromFiles(options: CredentialFiles, apply: Apply): CredentialSource {
  refuseUnknownOptions(where, options, ['key', 'cert', 'pfx', 'passphrase'])
  const { key, cert, pfx, passphrase } = options as { [name: string]: string | undefined }
  const paths = Object.entries(pfx === undefined ? { key, cert } : { pfx })
  for (const [name, path] of paths) {
    if (typeof path !== 'string' || path === '' || path.includes('-----BEGIN'))
      throw new ClientCertConfigError(
        `${where}: ${name} is the path of a file — { key: './server.key', cert: './server.crt' }`,
      )
  }
  if (pfx !== undefined && (key !== undefined || cert !== undefined))
    throw new ClientCertConfigError(`${where}: pfx holds key and certificate — leave key and cert out`)
  const secret = (pfx ?? key) as string
  const files = paths.map(([, path]) => path as string)
  const read = () =>
    readUnchanged(files, () => paths.map(([name, path]) => [name, readKeyFile(name, path as string)] as const))

  let current = ''
  const load = () => {
    const contents = read()
    const text = contents.map(([, bytes]) => bytes.toString('base64')).join()
    if (text === current) return false
    applyTogether(
      { ...Object.fromEntries(contents), ...(passphrase === undefined ? {} : { passphrase }) },
      files.join(' and '),
      apply,
    )
    current = text
    checkPermissions(secret)
    return true
  }
  load()
  const news = new CredentialNews(files.join(', '))
  const stop = watchFiles(files, () => {
    try {
      news.good(load())
      return true
    } catch (error) {
      news.bad(error as Error)
      return false
    }
  })
  return { ready: async () => {}, close: stop }
}

function fromProvider(options: CredentialProvider, apply: Apply): CredentialSource {
  refuseUnknownOptions(where, options, ['load', 'refresh', 'timeout'])
  const { load, refresh = 3_600_000, timeout = 30_000 } = options
  if (typeof load !== 'function')
    throw new ClientCertConfigError(`${where}: load is a function that resolves to { key, cert } or { pfx }`)
  const news = new CredentialNews('provider')
  let current: ServerCredentials | undefined
  const refresher = new Refresher<ServerCredentials>({
    label: where,
    load,
    apply: (loaded) => {
      const credentials = checked(loaded)
      // A new context forgets every session: not for what is in force already.
      const isNew = !isDeepStrictEqual(credentials, current)
      if (isNew) applyTogether(credentials, 'what load resolved to', apply)
      current = credentials
      news.good(isNew)
    },
    failed: (error) => news.bad(error),
    refreshMilliseconds: millisecondsOf(`${where}: refresh`, refresh, 1_000),
    timeoutMilliseconds: millisecondsOf(`${where}: timeout`, timeout, 1),
  })
  return { ready: () => refresher.ready(), close: () => refresher.close() }
}

function checked(credentials: ServerCredentials): ServerCredentials {
  const { key, cert, pfx, passphrase } = credentials ?? {}
  if (!((key && cert) || pfx))
    throw new ClientCertConfigError(`${where}: load resolved to neither { key, cert } nor { pfx }`)
  return {
    ...(pfx === undefined ? { key, cert } : { pfx }),
    ...(passphrase === undefined ? {} : { passphrase }),
  }
}

/** OpenSSL refuses a key that is not the certificate's, and a passphrase that is not the key's. Its words never hold either. */
function applyTogether(credentials: ServerCredentials, what: string, apply: Apply): void {
  try {
    apply(credentials)
  } catch (error) {
    if (error instanceof ClientCertConfigError) throw error
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    const reason =
      code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH' ? 'the key is not that of the certificate' : 'they cannot be used'
    throw new ClientCertConfigError(
      `${where}: ${what}: ${reason} (${code}) — write both anew, and the passphrase if there is one`,
      {
        cause: error,
      },
    )
  }
}

function checkPermissions(path: string): void {
  const lax = laxPermissions(path)
  if (lax === undefined) warnOfFilePermissions([path])
  else warn('MTLS_KEY_PERMISSIONS', `${lax} — chmod 0400, or in Kubernetes defaultMode: 0400`)
}

/** Says what is wrong once, as long as it is the same, and what has taken effect. */
class CredentialNews {
  readonly #events: ReloadNews
  #last: string | undefined

  constructor(source: string) {
    this.#events = new ReloadNews('credentials', source)
  }

  good(isNew: boolean): void {
    // After a failure the same ones again are news, too.
    if (isNew || this.#last !== undefined) this.#events.loaded()
    this.#last = undefined
  }

  bad(error: Error): void {
    const message = reasonOf(error)
    if (message === this.#last) return
    this.#last = message
    this.#events.failed(error)
    warn('MTLS_SERVER_CERTIFICATE', `${message} (the former key and certificate stay)`)
  }
}
