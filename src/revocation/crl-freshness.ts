import type { CertificateRevocationList } from '../x509/crl.js'
import type { KnownCrl } from './known-crl.js'

/**
 * Milliseconds since 1970 until which a CRL speaks for certificates it does not list. RFC 5280 §5.1.2.5 requires nextUpdate; without one only the
 * operator's maxAge can tell, and without either it has always ended.
 *
 * @param maxAge milliseconds after thisUpdate; Infinity leaves it to nextUpdate
 */
export function freshUntil({ thisUpdate, nextUpdate }: CertificateRevocationList, maxAge: number): number {
  if (nextUpdate === undefined)
    return maxAge === Number.POSITIVE_INFINITY ? Number.NEGATIVE_INFINITY : thisUpdate + maxAge
  return Math.min(nextUpdate, thisUpdate + maxAge)
}

/** Whether another one made a CRL superfluous, so that nobody misses it when it ends: a newer one of its scope; of a delta, a complete one, too. */
export const isSuperseded = (known: KnownCrl, all: readonly KnownCrl[]): boolean =>
  all.some(
    (other) =>
      other.scope === known.scope && other.crl.thisUpdate > known.crl.thisUpdate && (known.isDelta || !other.isDelta),
  )
