import { hash, timingSafeEqual } from 'node:crypto'
import { ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import { watchFiles } from '../file-watch.js'
import { ReloadNews } from '../reload-events.js'
import { sharedMap } from '../shared.js'
import { warn } from '../warn.js'
import { readSecrets } from './secret-file.js'
import type { AnyRequest } from './source.js'
import type { SynchronousGate } from './trusted-proxy.js'

export interface ProxySecretOptions {
  /** The header the proxy puts its secret into. Choose one that nothing logs. */
  header: string
  /** One or several, for rotation, of 32 characters or more; or a file with one on each line, read now and watched. */
  secrets: readonly string[] | { file: string }
}

/** A gate that may watch a file; `close()` stops that. */
export interface ProxySecretGate extends SynchronousGate {
  close(): void
}

const shortest = 32
const longest = 1_024

/** What a gate took out of a request: the next gate, of another authenticator or source, still has to see it. */
interface Taken {
  /** Undefined where it cannot be the secret. */
  readonly digest: Buffer | undefined
  /** A gate knew it. */
  isRight: boolean
}

const removed = sharedMap<Map<string, Taken>>('proxy-secrets')

/**
 * Admits requests that carry a secret only the proxy knows: for proxies whose addresses are not yours alone (CDNs, shared load balancers),
 * best together with {@link allOf} and an address. The secret is compared in constant time and removed from the request.
 *
 * @example
 * proxySecret({ header: 'X-Proxy-Secret', secrets: { file: './proxy-secret' } })
 */
export function proxySecret(options: ProxySecretOptions): ProxySecretGate {
  if (typeof options !== 'object' || options === null) {
    throw new ClientCertConfigError('proxySecret: expected { header, secrets }')
  }
  refuseUnknownOptions('proxySecret', options, ['header', 'secrets'])
  const header = headerName(options.header)
  const { secrets } = options
  const file = typeof secrets === 'object' && secrets !== null && 'file' in secrets ? secrets.file : undefined
  const load = () => digests(file === undefined ? (secrets as readonly string[]) : readSecrets('proxySecret', file))
  // Watched before it is read: what changes in between is read again.
  const stop = file === undefined ? () => {} : watchFiles([file], reload)
  const news = new ReloadNews('proxy-secrets', file ?? header)
  let known: readonly Buffer[] = []
  let complaint: string | undefined

  /** False where it has to be tried again although the file stays as it is. A complaint is made once. */
  function reload(): boolean {
    try {
      known = load()
      complaint = undefined
      news.loaded()
      return true
    } catch (error) {
      const { message } = error as Error
      if (message !== complaint) {
        news.failed(error)
        warn('MTLS_RELOAD_FAILED', `${message} (the former secrets hold)`)
      }
      complaint = message
      return false
    }
  }

  try {
    known = load()
  } catch (error) {
    stop()
    throw error
  }
  return Object.freeze({
    description: `proxySecret({ header: '${options.header}' })`,
    admits(request: AnyRequest) {
      const given = takeOut(request, header)
      if (given?.digest === undefined) return false
      // Every one is compared, so that the time says nothing.
      let matches = 0
      for (const secret of known) matches |= Number(timingSafeEqual(secret, given.digest))
      if (matches === 1) given.isRight = true
      return matches === 1
    },
    describe: () => ({ kind: 'proxySecret', header, secrets: known.length, where: { file } }),
    close: stop,
  })
}

function headerName(header: unknown): string {
  if (typeof header === 'string' && /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(header)) return header.toLowerCase()
  throw new ClientCertConfigError(`proxySecret: header is not a header name: ${JSON.stringify(header)}`)
}

/** The message names no secret, and not its length. */
function digests(secrets: readonly unknown[]): readonly Buffer[] {
  if (!Array.isArray(secrets) || secrets.length === 0) {
    throw new ClientCertConfigError("proxySecret: secrets is a list of one or several, or { file: './proxy-secret' }")
  }
  return secrets.map((secret, i) => {
    if (typeof secret !== 'string') {
      throw new ClientCertConfigError(
        `proxySecret: secret ${i + 1} is ${secret === undefined ? 'undefined — is the environment variable set?' : `a ${typeof secret}`}`,
      )
    }
    if (secret.length < shortest || secret.length > longest) {
      throw new ClientCertConfigError(
        `proxySecret: secret ${i + 1} has not between ${shortest} and ${longest} characters — openssl rand -hex 32`,
      )
    }
    if (!/^[!-~]+$/.test(secret)) {
      throw new ClientCertConfigError(
        `proxySecret: secret ${i + 1} has characters a header cannot carry as they are — openssl rand -hex 32`,
      )
    }
    return digestOf(secret)
  })
}

const digestOf = (secret: string) => hash('sha256', secret, 'buffer')

/** @internal The header in which a request gave a secret that no gate knew; undefined where it gave none, or the right one. */
export function wrongSecretOf(request: AnyRequest): string | undefined {
  const taken = [...(removed.get(request) ?? [])]
  return taken.some(([, { isRight }]) => isRight) ? undefined : taken[0]?.[0]
}

/** The secret of a request, as a digest, taken out of all of the request's views. Two lines are nobody's secret. */
function takeOut(request: AnyRequest, header: string): Taken | undefined {
  const before = removed.get(request)?.get(header)
  // Node makes these of rawHeaders when they are first read, and counts on its length: they have to be there before it shrinks.
  const { rawHeaders, headers, headersDistinct } = request as AnyRequest & { headersDistinct?: Record<string, unknown> }
  const values: string[] = []
  for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
    const field = rawHeaders[i] as string
    if (field.length !== header.length || field.toLowerCase() !== header) continue
    values.push(...rawHeaders.splice(i, 2).slice(1))
  }
  if (values.length === 0) return before
  delete (headers as Record<string, unknown>)[header]
  if (headersDistinct !== undefined) delete headersDistinct[header]
  const [value, ...others] = values as [string, ...string[]]
  if (before !== undefined) return undefined
  const isOne = others.length === 0 && value.length <= longest
  const taken: Taken = { digest: isOne ? digestOf(value) : undefined, isRight: false }
  const ofRequest = removed.get(request) ?? new Map<string, Taken>()
  removed.set(request, ofRequest.set(header, taken))
  return taken
}
