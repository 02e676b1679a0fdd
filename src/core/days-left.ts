import { ClientCertConfigError } from '../errors.js'
import type { ClientIdentity } from '../identity/identity.js'
import { daysLeft } from '../ledger/expiry.js'
import { momentOrNone } from '../moment.js'
import type { CachedResponse } from './caching.js'

/** Sets the field on the answer to a request that was accepted. */
export type DaysLeftHeader = (response: CachedResponse, identity: ClientIdentity) => void

const usualName = 'Client-Certificate-Days-Left'
/** Fields that mean something to HTTP itself, or to browsers. */
const taken =
  /^(?:age|allow|alt-svc|authorization|cache-control|connection|content-.*|access-control-.*|date|etag|expires|keep-alive|last-modified|link|location|proxy-.*|retry-after|server|set-cookie|strict-transport-security|te|trailer|transfer-encoding|upgrade|vary|via|www-authenticate)$/i

/**
 * @param given `true`, or the name of the field
 * @param shared whether something already keeps shared caches from giving one client's answer to another
 */
export function daysLeftHeader(
  given: unknown,
  clock: { readonly now: () => number },
  shared: boolean,
): DaysLeftHeader | undefined {
  if (given === undefined || given === false) return undefined
  const name = given === true ? usualName : given
  if (typeof name !== 'string' || !/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name) || taken.test(name)) {
    throw new ClientCertConfigError(
      `clientCert: daysLeftHeader is ${JSON.stringify(given)}, expected true (${usualName}) or the name of a header field that is yours`,
    )
  }
  return (response, identity) => {
    if (response.headersSent === true) return
    const left = daysLeft({ notAfter: identity.notAfter.getTime() }, momentOrNone(clock))
    if (Number.isNaN(left)) return
    response.setHeader(name, String(left))
    // What it says is about one client: RFC 9111 §5.2.2.7. A handler may set another.
    if (!shared && response.getHeader('Cache-Control') === undefined) response.setHeader('Cache-Control', 'private')
  }
}
