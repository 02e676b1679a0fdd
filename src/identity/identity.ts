import { hash } from 'node:crypto'
import { inspect } from 'node:util'
import type { RememberedPath } from '../path/remembered-path.js'
import type { Certificate } from '../x509/certificate.js'
import type { DistinguishedName } from '../x509/name.js'
import { formatPem } from '../x509/pem.js'
import { EndEntity } from './end-entity.js'
import { type IdentityNames, type PublicKeyDescription, serialNumberText } from './fields.js'
import { SpiffeId } from './spiffe-id.js'

/**
 * Declare what your `resolve` option returns, once, and `identity.principal` has that type:
 *
 * @example
 * declare module 'mtls-identity' { interface Register { principal: Partner } }
 */
// biome-ignore lint/suspicious/noEmptyInterface: applications fill it by declaration merging
export interface Register {}

/** What an application's `resolve` made of the identity. */
export type Principal = Register extends { principal: infer P } ? P : unknown

/** What can be said of a certificate without its octets. */
export interface CertificateSummary {
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string
  readonly subject: DistinguishedName
  readonly issuer: DistinguishedName
  /** Upper-case hex, whole octets, no leading 00. */
  readonly serialNumber: string
  readonly notBefore: Date
  readonly notAfter: Date
  /** SHA-256 of the SubjectPublicKeyInfo, base64: the same for a renewed certificate with the same key. */
  readonly publicKeyPin: string
}

/**
 * Who the client is: derived from the octets of a certificate whose path was validated, and from nothing else. Frozen through and through;
 * dates and octets are copies.
 */
export interface ClientIdentity extends CertificateSummary {
  /** SHA-256 of the DER, base64url without padding: `x5t#S256` of RFC 8705 §3.1. */
  readonly x5tS256: string
  readonly publicKey: PublicKeyDescription
  readonly names: IdentityNames
  /** Where the certificate has exactly one URI name and it is a SPIFFE ID with a path (X509-SVID §2, §5.2). */
  readonly spiffeId: SpiffeId | undefined
  /** Certificate policies under which the whole path is valid: the user-constrained policy set (RFC 5280 §6.1.6). */
  readonly policies: readonly string[]
  /** Object identifiers of extendedKeyUsage (RFC 5280 §4.2.1.12); undefined where the certificate has none. */
  readonly extendedKeyUsage: readonly string[] | undefined
  readonly certificate: { readonly der: Uint8Array; readonly pem: string }
  /** The CA certificate that issued it on the validated path: the first intermediate, or the anchor. Undefined where it is pinned. */
  readonly issuerCertificate: CertificateSummary | undefined
  /** The intermediates of the validated path, the end entity's issuer first. */
  readonly chain: readonly CertificateSummary[]
  /** The trust anchor, and the trust set it was configured in. */
  readonly anchor: CertificateSummary & { readonly name: string | undefined }
  readonly via: 'tls' | 'proxy'
  /** What the application's `resolve` returned; undefined without one. */
  readonly principal: Principal | undefined
  /** An extension by its object identifier, known or not; `value` is a copy of extnValue's contents. */
  extension(oid: string): { readonly critical: boolean; readonly value: Uint8Array } | undefined
  /** Everything but the octets. */
  toJSON(): object
}

class Summary implements CertificateSummary {
  readonly #certificate: Certificate
  #publicKeyPin: string | undefined

  constructor(certificate: Certificate) {
    this.#certificate = certificate
  }

  get fingerprint(): string {
    return this.#certificate.fingerprint
  }

  get subject(): DistinguishedName {
    return this.#certificate.subject.freeze()
  }

  get issuer(): DistinguishedName {
    return this.#certificate.issuer.freeze()
  }

  get serialNumber(): string {
    return serialNumberText(this.#certificate.serialNumber)
  }

  get notBefore(): Date {
    return new Date(this.#certificate.notBefore)
  }

  get notAfter(): Date {
    return new Date(this.#certificate.notAfter)
  }

  get publicKeyPin(): string {
    this.#publicKeyPin ??= hash('sha256', this.#certificate.publicKey.der, 'base64')
    return this.#publicKeyPin
  }

  toJSON(): object {
    const { fingerprint, subject, issuer, serialNumber, notBefore, notAfter, publicKeyPin } = this
    return { fingerprint, subject, issuer, serialNumber, notBefore, notAfter, publicKeyPin }
  }

  [inspect.custom](): object {
    return this.toJSON()
  }
}

const summaries = new WeakMap<Certificate, CertificateSummary>()

/** One for all whom it issued: what was computed of it is not computed again. */
function summaryOf(certificate: Certificate): CertificateSummary {
  const known = summaries.get(certificate) ?? Object.freeze(new Summary(certificate))
  summaries.set(certificate, known)
  return known
}

class AnchorSummary extends Summary {
  readonly name: string | undefined

  constructor(certificate: Certificate, name: string | undefined) {
    super(certificate)
    this.name = name
  }

  override toJSON(): object {
    return { ...super.toJSON(), name: this.name }
  }
}

class Identity implements ClientIdentity {
  readonly #path: RememberedPath
  readonly via: 'tls' | 'proxy'
  readonly principal: Principal | undefined
  #endEntity: EndEntity | undefined
  #chain: readonly CertificateSummary[] | undefined

  constructor(path: RememberedPath, via: 'tls' | 'proxy', principal: Principal | undefined) {
    this.#path = path
    this.via = via
    this.principal = principal
    Object.freeze(this)
  }

  /** Made for whoever asks: of most identities nobody does. */
  get #read(): EndEntity {
    this.#endEntity ??= new EndEntity(this.#path)
    return this.#endEntity
  }

  get fingerprint(): string {
    return this.#path.fingerprint
  }

  get subject(): DistinguishedName {
    return this.#read.subject
  }

  get issuer(): DistinguishedName {
    return this.#read.issuer
  }

  get serialNumber(): string {
    return this.#read.serialNumber
  }

  get notBefore(): Date {
    return new Date(this.#read.notBefore)
  }

  get notAfter(): Date {
    return new Date(this.#read.notAfter)
  }

  get publicKeyPin(): string {
    return this.#read.publicKeyPin
  }

  get x5tS256(): string {
    return Buffer.from(this.fingerprint, 'hex').toString('base64url')
  }

  get publicKey(): PublicKeyDescription {
    return this.#read.publicKey
  }

  get names(): IdentityNames {
    return this.#read.names
  }

  get spiffeId(): SpiffeId | undefined {
    const [only, ...others] = this.names.uri
    if (only === undefined || others.length > 0) return undefined
    const id = SpiffeId.from(only)
    return id === undefined || id.path === '' ? undefined : id
  }

  get policies(): readonly string[] {
    return this.#path.policies
  }

  get extendedKeyUsage(): readonly string[] | undefined {
    return this.#read.extendedKeyUsage
  }

  extension(identifier: string): { readonly critical: boolean; readonly value: Uint8Array } | undefined {
    const found = this.#read.extensions.find(({ oid }) => oid === identifier)
    return found && Object.freeze({ critical: found.critical, value: new Uint8Array(found.value) })
  }

  get issuerCertificate(): CertificateSummary | undefined {
    // A pinned certificate is its own anchor: nobody vouches for it.
    return this.#path.isPinned ? undefined : (this.chain[0] ?? this.anchor)
  }

  get certificate(): { readonly der: Uint8Array; readonly pem: string } {
    const [der] = this.#path.octets
    return Object.freeze({ der: new Uint8Array(der), pem: formatPem('CERTIFICATE', der) })
  }

  get chain(): readonly CertificateSummary[] {
    this.#chain ??= Object.freeze(this.#path.issuers.map(summaryOf))
    return this.#chain
  }

  get anchor(): CertificateSummary & { readonly name: string | undefined } {
    const { certificate, name } = this.#path.anchor
    return Object.freeze(new AnchorSummary(certificate, name))
  }

  toJSON(): object {
    const { fingerprint, subject, issuer, serialNumber, notBefore, notAfter, publicKeyPin } = this
    const { x5tS256, publicKey, names, spiffeId, policies, extendedKeyUsage, chain, anchor, via, principal } = this
    return {
      fingerprint,
      subject,
      issuer,
      serialNumber,
      notBefore,
      notAfter,
      publicKeyPin,
      x5tS256,
      publicKey,
      names,
      spiffeId,
      policies,
      extendedKeyUsage,
      chain,
      anchor,
      via,
      principal,
    }
  }

  [inspect.custom](): object {
    return this.toJSON()
  }
}

// A deep merge into an identity must not reach what all identities share.
for (const { prototype } of [Summary, AnchorSummary, Identity]) Object.freeze(prototype)

/** Derives the identity of a validated path's end entity. */
export function toIdentity(path: RememberedPath, via: 'tls' | 'proxy', principal?: Principal): ClientIdentity {
  return new Identity(path, via, principal)
}
