import { hash } from 'node:crypto'
import { inspect } from 'node:util'
import type { CertificationPath } from '../path/certification-path.js'
import type { PublicKeyFacts } from '../x509/algorithm.js'
import type { Certificate } from '../x509/certificate.js'
import type { GeneralName } from '../x509/general-name.js'
import type { DistinguishedName } from '../x509/name.js'
import { oid } from '../x509/oid.js'
import { formatPem } from '../x509/pem.js'
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

/** A public key, as far as rules ask about it. */
export interface PublicKeyDescription {
  /** `RSA`, `RSA-PSS`, `EC`, `Ed25519`, `Ed448`, `ML-DSA-44`, … */
  readonly algorithm: string
  /** Of an RSA modulus. */
  readonly bits?: number
  /** Of an EC key: `P-256`, `P-384`, `P-521`, or a dotted identifier. */
  readonly curve?: string
}

/** Every subject alternative name (RFC 5280 §4.2.1.6), by form, as written in the certificate. */
export interface IdentityNames {
  readonly dns: readonly string[]
  readonly uri: readonly string[]
  /** rfc822Name, and SmtpUTF8Mailbox (RFC 9598). */
  readonly email: readonly string[]
  /** Dotted decimal, or RFC 5952 text. */
  readonly ip: readonly string[]
  /** Microsoft user principal names. */
  readonly upn: readonly string[]
  readonly directory: readonly DistinguishedName[]
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

class Identity extends Summary implements ClientIdentity {
  readonly #endEntity: Certificate
  readonly #path: CertificationPath
  readonly via: 'tls' | 'proxy'
  readonly principal: Principal | undefined
  #names: IdentityNames | undefined
  #chain: readonly CertificateSummary[] | undefined

  constructor(path: CertificationPath, via: 'tls' | 'proxy', principal: Principal | undefined) {
    const endEntity = path.certificates[0] as Certificate
    super(endEntity)
    this.#endEntity = endEntity
    this.#path = path
    this.via = via
    this.principal = principal
    Object.freeze(this)
  }

  get x5tS256(): string {
    return Buffer.from(this.fingerprint, 'hex').toString('base64url')
  }

  get publicKey(): PublicKeyDescription {
    return Object.freeze(describeKey(this.#endEntity.publicKey.facts))
  }

  get names(): IdentityNames {
    this.#names ??= namesOf(this.#endEntity.extensions.subjectAltName ?? [])
    return this.#names
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
    const usages = this.#endEntity.extensions.extKeyUsage
    return usages === undefined ? undefined : Object.freeze([...usages])
  }

  extension(identifier: string): { readonly critical: boolean; readonly value: Uint8Array } | undefined {
    const found = this.#endEntity.extensionList.find(({ oid }) => oid === identifier)
    return found && Object.freeze({ critical: found.critical, value: new Uint8Array(found.value) })
  }

  get issuerCertificate(): CertificateSummary | undefined {
    // A pinned certificate is its own anchor: nobody vouches for it.
    return this.#path.anchor.certificate === this.#endEntity ? undefined : (this.chain[0] ?? this.anchor)
  }

  get certificate(): { readonly der: Uint8Array; readonly pem: string } {
    const { der } = this.#endEntity
    return Object.freeze({ der: new Uint8Array(der), pem: formatPem('CERTIFICATE', der) })
  }

  get chain(): readonly CertificateSummary[] {
    this.#chain ??= Object.freeze(
      this.#path.certificates.slice(1).map((certificate) => Object.freeze(new Summary(certificate))),
    )
    return this.#chain
  }

  get anchor(): CertificateSummary & { readonly name: string | undefined } {
    const { certificate, name } = this.#path.anchor
    return Object.freeze(new AnchorSummary(certificate, name))
  }

  override toJSON(): object {
    const { x5tS256, publicKey, names, spiffeId, policies, extendedKeyUsage, chain, anchor, via, principal } = this
    return {
      ...super.toJSON(),
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
}

// A deep merge into an identity must not reach what all identities share.
for (const { prototype } of [Summary, AnchorSummary, Identity]) Object.freeze(prototype)

/** Derives the identity of a validated path's end entity. */
export function toIdentity(path: CertificationPath, via: 'tls' | 'proxy', principal?: Principal): ClientIdentity {
  return new Identity(path, via, principal)
}

function namesOf(names: readonly GeneralName[]): IdentityNames {
  const found = {
    dns: none(),
    uri: none(),
    email: none(),
    ip: none(),
    upn: none(),
    directory: [] as DistinguishedName[],
  }
  for (const name of names) {
    if (name.type === 'directoryName') found.directory.push(name.value.freeze())
    const form = textForms[name.type]
    if (form !== undefined && 'value' in name && typeof name.value === 'string') found[form].push(name.value)
  }
  for (const list of Object.values(found)) Object.freeze(list)
  return Object.freeze(found)
}

const curves: ReadonlyMap<string, string> = new Map([
  [oid.p256, 'P-256'],
  [oid.p384, 'P-384'],
  [oid.p521, 'P-521'],
])

function describeKey(facts: PublicKeyFacts): PublicKeyDescription {
  switch (facts.type) {
    case 'RSA':
    case 'RSA-PSS':
      return { algorithm: facts.type, bits: facts.modulusBits }
    case 'EC':
      return facts.curve === undefined
        ? { algorithm: 'EC' }
        : { algorithm: 'EC', curve: curves.get(facts.curve) ?? facts.curve }
    case 'unknown':
      return { algorithm: facts.oid }
    default:
      return { algorithm: facts.type }
  }
}

const none = (): string[] => []

/** Where a name of each form that is text goes. */
const textForms: { readonly [T in GeneralName['type']]?: Exclude<keyof IdentityNames, 'directory'> } = {
  dNSName: 'dns',
  uniformResourceIdentifier: 'uri',
  rfc822Name: 'email',
  smtpUtf8Mailbox: 'email',
  iPAddress: 'ip',
  userPrincipalName: 'upn',
}

/** As Node prints it: upper-case hex of whole octets without the sign octet; a minus sign before a negative one; `0` for zero. */
export function serialNumberText(octets: Uint8Array): string {
  if (octets.length === 1 && octets[0] === 0) return '0'
  if (((octets[0] as number) & 0x80) === 0) {
    const first = octets.length > 1 && octets[0] === 0 ? 1 : 0
    return Buffer.from(octets.subarray(first)).toString('hex').toUpperCase()
  }
  const magnitude = -BigInt.asIntN(octets.length * 8, BigInt(`0x${Buffer.from(octets).toString('hex')}`))
  const hex = magnitude.toString(16).toUpperCase()
  return `-${hex.length % 2 === 0 ? hex : `0${hex}`}`
}
