import type { CertificationPath } from '../path/verified-paths.js'
import type { TrustSnapshot } from '../trust/trust-snapshot.js'
import type { Certificate } from '../x509/certificate.js'
import type { DistinguishedName } from '../x509/name.js'
import { LruMap } from './lru-map.js'

const names = 1_000
const perName = 4

/**
 * Intermediates that were part of a verified path. Resumed TLS sessions and most proxies drop what the client sent after its own certificate,
 * so that a path is completed from these. They are candidates like any other: every use validates them again.
 */
export class IssuerMemory {
  readonly #bySubject = new LruMap<string, readonly Certificate[]>(names)

  bySubject(name: DistinguishedName): readonly Certificate[] {
    return this.#bySubject.get(name.comparisonKey) ?? []
  }

  /** Only what an anchor vouches for gets in, so that strangers cannot fill it. */
  remember({ certificates }: CertificationPath): void {
    for (const issuer of certificates.slice(1)) {
      const key = issuer.subject.comparisonKey
      const known = this.#bySubject.get(key) ?? []
      if (known.some(({ fingerprint }) => fingerprint === issuer.fingerprint)) continue
      this.#bySubject.set(key, [issuer, ...known].slice(0, perName))
    }
  }
}

/** What a path may be completed from, in the order it is looked at. */
export function issuerPool(
  presented: readonly Certificate[],
  configured: TrustSnapshot | undefined,
  memory: IssuerMemory,
) {
  return {
    presented,
    bySubject: (name: DistinguishedName): readonly Certificate[] => [
      ...(configured?.bySubject(name).map(({ certificate }) => certificate) ?? []),
      ...memory.bySubject(name),
    ],
  }
}
