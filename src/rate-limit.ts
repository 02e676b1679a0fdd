/**
 * `mtls-identity/rate-limit`: whose requests a rate limiter counts together. Made for the key functions of express-rate-limit, koa-ratelimit and
 * rate-limiter-flexible, and needs none of them.
 */
import { hash } from 'node:crypto'
import { networkOf } from './address-ranges.js'
import { hasDecision, identityOf } from './core/guard.js'
import { ClientCertConfigError, nearest, refuseUndefinedOptions, refuseUnknownOptions } from './errors.js'
import type { ClientIdentity } from './identity/identity.js'
import { LruMap } from './lru-map.js'
import type { AnyRequest } from './source/source.js'

/** A request of Node or Express, or Koa's context. */
export type RateLimitCarrier = AnyRequest | { readonly req: AnyRequest }

/**
 * Whose requests share a limit. `'principal'`: what `resolve` or `principalFrom` calls the client, however often its certificate is renewed.
 * `'publicKeyPin'`: a key. `'fingerprint'`: one certificate. `'issuer'`: the key of the CA that issued it, all of its clients together. A function: the
 * string it returns, asked once for each identity; `undefined` is a 500.
 */
export type RateLimitUnit =
  | 'principal'
  | 'publicKeyPin'
  | 'fingerprint'
  | 'issuer'
  | ((identity: ClientIdentity) => string | undefined)

export interface RateLimitKeyOptions<Carrier> {
  /**
   * What clients without an identity are told apart by (modes `optional` and `report-only`). Default: the address of the connection, which behind a proxy
   * is the proxy's. An address it returns counts as {@link addressKey} says; `undefined` and `''` are one client.
   */
  anonymous?: (carrier: Carrier) => string | undefined
}

/** Addresses whose key is remembered, and characters of one: an IPv6 address with a zone has some fifty. */
const addresses = 1_000
const addressCharacters = 64

/**
 * Makes the key function of a limiter that stands behind `clientCert()`. Keys begin with what they are made of, so that nobody gets another kind's; they
 * have 80 characters at most and hold no names: a principal, and what a function returns, are in them as SHA-256, lower-case hex. Throws
 * {@link ClientCertConfigError} for what is no unit, and from the key function where `clientCert()` never ran, or the unit is no string.
 *
 * @example
 * app.use(clientCert({ authenticator }))
 * app.use(rateLimit({ limit: 100, keyGenerator: rateLimitKey('principal') }))                     // express-rate-limit
 * app.use(ratelimit({ driver: 'redis', db: redis, max: 100, id: rateLimitKey('publicKeyPin') }))  // koa-ratelimit
 */
export function rateLimitKey<Carrier extends RateLimitCarrier = RateLimitCarrier>(
  unit: RateLimitUnit,
  options: RateLimitKeyOptions<Carrier> = {},
): (carrier: Carrier) => string {
  const keyOf = typeof unit === 'function' ? keyByFunction(unit) : keyByName(unit)
  refuseUnknownOptions('rateLimitKey', options, ['anonymous'])
  refuseUndefinedOptions('rateLimitKey', options)
  const anonymousKey =
    options.anonymous === undefined
      ? addressKey()
      : keyByText('anonymous', 'rateLimitKey: anonymous', options.anonymous as (carrier: RateLimitCarrier) => unknown)
  const known = new WeakMap<ClientIdentity, string>()

  return (carrier) => {
    const request = requestOf('rateLimitKey', carrier)
    const identity = identityOf(request)
    if (identity === undefined) {
      // Whoever was not decided about is not anonymous: a limiter in the wrong place would count everybody by address.
      if (hasDecision(request)) return anonymousKey(carrier)
      throw new ClientCertConfigError(
        'rateLimitKey: clientCert() never ran for this request, or skipped it — app.use(clientCert({ trust })) before the limiter, and let the limiter skip what it skips; addressKey() needs no identity',
      )
    }
    const remembered = known.get(identity)
    if (remembered !== undefined) return remembered
    const key = keyOf(identity)
    known.set(identity, key)
    return key
  }
}

/**
 * Makes the key function of a limiter that counts addresses, for one before `clientCert()`: who is refused has no identity. An IPv6 address counts as
 * its /64 network, since whoever has one address there has all of them; one mapped into IPv6 as IPv4. What has no address, such as the peer of a Unix
 * socket, is one client.
 *
 * @param address where the address is, if not on the connection: behind a proxy, `(request) => request.ip` with `trust proxy` set. What it returns that
 * is no address counts as it is, by its SHA-256.
 * @example
 * app.use(rateLimit({ limit: 20, keyGenerator: addressKey(), skipSuccessfulRequests: true }))
 * app.use(clientCert({ authenticator }))
 */
export function addressKey<Carrier extends RateLimitCarrier = RateLimitCarrier>(
  ...given: [address?: (carrier: Carrier) => string | undefined]
): (carrier: Carrier) => string {
  const [address = peerAddress] = given
  if (given.length > 0 && given[0] === undefined) {
    throw new ClientCertConfigError(
      'addressKey: the function is undefined — addressKey() if the connection’s address is meant',
    )
  }
  return keyByText('address', 'addressKey', address as (carrier: RateLimitCarrier) => unknown)
}

const peerAddress = (carrier: RateLimitCarrier) => requestOf('addressKey', carrier).socket?.remoteAddress

function requestOf(where: string, carrier: RateLimitCarrier): AnyRequest {
  if (typeof carrier !== 'object' || carrier === null) {
    throw new ClientCertConfigError(`${where}: the key is made of a request or of Koa’s context, got ${typeof carrier}`)
  }
  return 'req' in carrier ? carrier.req : carrier
}

type KeyOf = (identity: ClientIdentity) => string

const units: { readonly [U in Extract<RateLimitUnit, string>]: KeyOf } = {
  principal: ({ principal }) => `principal:${sha256(stringPrincipal(principal))}`,
  publicKeyPin: ({ publicKeyPin }) => `publicKeyPin:${publicKeyPin}`,
  fingerprint: ({ fingerprint }) => `fingerprint:${fingerprint}`,
  // By its key: which certificate of a CA is on the path may depend on what the client sends. A pinned certificate has a name of an issuer only.
  issuer: ({ issuerCertificate, issuer }) =>
    issuerCertificate === undefined
      ? `issuerName:${sha256(issuer.toString())}`
      : `issuer:${issuerCertificate.publicKeyPin}`,
}

function keyByName(unit: unknown): KeyOf {
  if (typeof unit === 'string' && Object.hasOwn(units, unit)) return units[unit as keyof typeof units]
  const known = Object.keys(units)
  const near = typeof unit === 'string' ? nearest(unit, known) : undefined
  throw new ClientCertConfigError(
    `rateLimitKey: unknown unit ${JSON.stringify(unit)}.${near ? ` Did you mean "${near}"?` : ` Known: ${known.join(', ')}, or a function of the identity`}`,
  )
}

function keyByFunction(unit: (identity: ClientIdentity) => string | undefined): KeyOf {
  return (identity) => {
    const text: unknown = unit(identity)
    if (typeof text === 'string' && text !== '') return `own:${sha256(text)}`
    // One key for all who have none would let them spend each other's limit.
    throw new ClientCertConfigError(
      `rateLimitKey: the function returned ${kindOf(text)} for the client with the fingerprint ${identity.fingerprint}, expected a string that is not empty`,
    )
  }
}

function stringPrincipal(principal: unknown): string {
  if (typeof principal === 'string' && principal !== '') return principal
  throw new ClientCertConfigError(
    principal === undefined
      ? "rateLimitKey: the identity has no principal — createAuthenticator({ principalFrom: 'email' }), or resolve"
      : `rateLimitKey: the principal is ${kindOf(principal)}, and only a string is a key — rateLimitKey(({ principal }) => principal?.name)`,
  )
}

const kindOf = (value: unknown) => (value === '' ? 'an empty string' : value === null ? 'null' : typeof value)

/** Keys by a text that may be a peer's to choose: addresses by network, everything else by hash. */
function keyByText(
  prefix: string,
  where: string,
  read: (carrier: RateLimitCarrier) => unknown,
): (carrier: RateLimitCarrier) => string {
  if (typeof read !== 'function') {
    throw new ClientCertConfigError(`${where} is a function of the request, got ${kindOf(read)}`)
  }
  const known = new LruMap<string, string>(addresses)
  return (carrier) => {
    const text = read(carrier)
    // Express and Node know no address of a connection that is gone, Koa an empty one.
    if (text === undefined || text === '') return `${prefix}:none`
    if (typeof text !== 'string') {
      throw new ClientCertConfigError(`${where} returned ${kindOf(text)}, expected a string`)
    }
    const remembered = known.get(text)
    if (remembered !== undefined) return remembered
    const key = `${prefix}:${networkOf(text) ?? sha256(text)}`
    if (text.length <= addressCharacters) known.set(text, key)
    return key
  }
}

const sha256 = (text: string) => hash('sha256', text, 'hex')
