import { hash } from 'node:crypto'
import { LruMap } from '../lru-map.js'
import type { SubjectPublicKeyInfo } from '../x509/algorithm.js'
import type { Certificate } from '../x509/certificate.js'
import type { DistinguishedName } from '../x509/name.js'
import { slice } from '../x509/text.js'
import type { CertificationPath } from './certification-path.js'

const certificates = 1_000
const perName = 4

/**
 * Issuers that were part of a verified path. A path is completed from them, because resumed TLS sessions and most proxies drop what the client
 * sent after its own certificate; and what is known of them is not computed again: their fields, their imported key, and which key signed them.
 *
 * Time, constraints and everything else a path is asked for is checked at every use. A signature is remembered against the very key object of
 * the issuer, which belongs to one snapshot of one trust store: a reload or another store begins anew. Only what an anchor vouches for gets
 * in, so that strangers cannot fill it.
 */
export class IssuerMemory {
  readonly #byTraits = new LruMap<string, Certificate>(certificates)
  readonly #bySubject = new LruMap<string, readonly Certificate[]>(certificates)
  /** Many services have one issuer, and ask for it every time. */
  #latest: Certificate | undefined
  readonly #signers = new WeakMap<Certificate, WeakSet<SubjectPublicKeyInfo>>()

  /** The certificate these octets are, where it is known. */
  recall(der: Uint8Array): Certificate | undefined {
    if (isWrittenAs(this.#latest, der)) return this.#latest
    const known = this.#byTraits.get(traits(der))
    if (!isWrittenAs(known, der)) return undefined
    this.#latest = known
    return known
  }

  bySubject(name: DistinguishedName): readonly Certificate[] {
    return this.#bySubject.get(name.comparisonKey) ?? []
  }

  isSignedBy(certificate: Certificate, key: SubjectPublicKeyInfo): boolean {
    return this.#signers.get(certificate)?.has(key) === true
  }

  remember({ certificates: path, anchor }: CertificationPath): void {
    for (let depth = 1; depth < path.length; depth++) {
      const issuer = path[depth] as Certificate
      const signer = path[depth + 1] ?? anchor.certificate
      const signers = this.#signers.get(issuer) ?? new WeakSet()
      this.#signers.set(issuer, signers.add(signer.publicKey))
      this.#file(issuer)
    }
  }

  #file(issuer: Certificate): void {
    const key = issuer.subject.comparisonKey
    const known = this.#bySubject.get(key) ?? []
    if (!known.includes(issuer)) {
      // Whoever was shown its octets meanwhile, a checker of the application for one, may have written to them.
      if (hash('sha256', issuer.der, 'hex') !== issuer.fingerprint) return
      const namesakes = known.filter(({ fingerprint }) => fingerprint !== issuer.fingerprint)
      this.#bySubject.set(key, [issuer, ...namesakes].slice(0, perName))
    }
    this.#byTraits.set(traits(issuer.der), issuer)
  }
}

const isWrittenAs = (known: Certificate | undefined, der: Uint8Array): boolean =>
  known !== undefined && known.der.length === der.length && Buffer.compare(known.der, der) === 0

/** Octets in which certificates differ: about the serial number, and the end of the signature. What is found by them is compared whole. */
const traits = (der: Uint8Array): string => slice(der, 8, 40) + slice(der, der.length - 16, der.length)
