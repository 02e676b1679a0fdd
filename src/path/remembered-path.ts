import { hash } from 'node:crypto'
import { deny } from '../errors.js'
import type { TrustAnchor } from '../trust/trust-snapshot.js'
import { Certificate } from '../x509/certificate.js'
import type { CertificationPath } from './certification-path.js'

/**
 * A verified path as it is remembered for each of many thousand clients: whole while the client is being decided about, and from then on without
 * what was read of the end entity, which takes eight times the room of its octets. They are read again when somebody asks.
 *
 * It is made of a verified path and of nothing else, and what is read again has the SHA-256 of what was verified: the path it gives back is that one.
 */
export class RememberedPath {
  /** Milliseconds since 1970: see {@link CertificationPath.notAfter}. */
  readonly notAfter: number
  readonly policies: readonly string[]
  /** The issuers, the end entity's first, without the anchor: the same objects in whatever path they are part of. */
  readonly issuers: readonly Certificate[]
  /** DER of the end entity. */
  readonly #der: Uint8Array
  /** Without the certificate where that is the end entity. */
  readonly #anchor: Omit<TrustAnchor, 'certificate'> & Partial<TrustAnchor>
  #fingerprint: string | undefined
  #path: CertificationPath | undefined
  /** As long as somebody has it, everybody gets the same. */
  #given: WeakRef<CertificationPath> | undefined

  constructor(path: CertificationPath) {
    const { certificates, anchor, notAfter, policies } = path
    const endEntity = certificates[0] as Certificate
    this.notAfter = notAfter
    this.policies = policies.length === 0 ? none : policies
    this.issuers = issuersOf(certificates)
    this.#der = endEntity.der
    this.#anchor = anchor.certificate === endEntity ? withoutCertificate(anchor) : anchor
    this.#path = path
  }

  /** Forgets what can be read again. */
  settle(): void {
    this.#fingerprint = this.fingerprint
    this.#path = undefined
  }

  /** SHA-256 of the end entity's DER, lower-case hex. */
  get fingerprint(): string {
    return this.#fingerprint ?? this.endEntity.fingerprint
  }

  /** The end entity is trusted by itself. */
  get isPinned(): boolean {
    return this.#anchor.certificate === undefined
  }

  get anchor(): TrustAnchor {
    return this.isPinned ? this.whole.anchor : (this.#anchor as TrustAnchor)
  }

  get endEntity(): Certificate {
    return (this.#path ?? this.whole).certificates[0] as Certificate
  }

  /** The path that was verified, or one that equals it in everything, the octets too. */
  get whole(): CertificationPath {
    const given = this.#given?.deref()
    if (given !== undefined) return given
    const path = this.#path ?? this.#readAgain()
    this.#given = new WeakRef(path)
    return path
  }

  /** DER of the end entity, then of the issuers. */
  get octets(): readonly [Uint8Array, ...Uint8Array[]] {
    return [this.#der, ...this.issuers.map(({ der }) => der)]
  }

  #readAgain(): CertificationPath {
    // Whoever was given the path, a checker of the application for one, can write to its octets.
    if (hash('sha256', this.#der, 'hex') !== this.#fingerprint) {
      throw deny('ERR_CLIENT_CERT_INTERNAL', { stage: 'reading again a certificate whose octets were changed' })
    }
    const endEntity = Certificate.parseInPlace(this.#der)
    return Object.freeze({
      certificates: Object.freeze([endEntity, ...this.issuers]),
      anchor: this.isPinned ? Object.freeze({ ...this.#anchor, certificate: endEntity }) : this.#anchor,
      notAfter: this.notAfter,
      policies: this.policies,
    }) as CertificationPath
  }
}

const none: readonly never[] = Object.freeze([])

/** By the end entity's issuer: those it signs have the same list. */
const lists = new WeakMap<Certificate, readonly Certificate[]>()

function issuersOf([_, ...issuers]: readonly Certificate[]): readonly Certificate[] {
  const [first] = issuers
  if (first === undefined) return none
  const known = lists.get(first)
  if (known?.length === issuers.length && known.every((issuer, depth) => issuer === issuers[depth])) return known
  lists.set(first, Object.freeze(issuers))
  return issuers
}

function withoutCertificate({ certificate: _, ...rest }: TrustAnchor): Omit<TrustAnchor, 'certificate'> {
  return rest
}
