import { hash } from 'node:crypto'
import { DerError } from '../der/der-error.js'
import { deny } from '../errors.js'
import { limits } from '../limits.js'
import type { AlgorithmIdentifier, SubjectPublicKeyInfo } from './algorithm.js'
import { CertificateFields } from './certificate-fields.js'
import type { Extension } from './extension-list.js'
import type { Extensions } from './extensions.js'
import type { DistinguishedName } from './name.js'

/**
 * An X.509 certificate, read and screened (RFC 5280 §4.1): every field, and every extension of §4.2 by its type. Reading says
 * nothing about trust. Its octets are its own copy, so that nobody can change them after they were checked.
 */
export class Certificate {
  #der: Uint8Array
  /** Milliseconds since 1970, both ends inclusive. */
  readonly notBefore: number
  readonly notAfter: number
  #fields: CertificateFields | undefined
  #subjectKey: string | undefined
  #fingerprint: string | undefined
  #isSelfIssued: boolean | undefined

  private constructor(der: Uint8Array) {
    const fields = new CertificateFields(der)
    this.#der = der
    this.notBefore = fields.notBefore
    this.notAfter = fields.notAfter
    this.#fields = fields
  }

  /**
   * Reads DER. Throws `ERR_CLIENT_CERT_MALFORMED` for whatever is not one certificate in DER, with the reason and the offset.
   *
   * @param depth where in a presented chain it stands, for the refusal; 0 is the end entity
   */
  static parse(der: Uint8Array, depth?: number): Certificate {
    checkLength(der, depth)
    return Certificate.parseInPlace(apart(der), depth)
  }

  /** The same of octets that nobody else can change: they are not copied. */
  static parseInPlace(der: Uint8Array, depth?: number): Certificate {
    checkLength(der, depth)
    try {
      return new Certificate(der)
    } catch (error) {
      if (!(error instanceof DerError)) throw error
      const { message: reason, offset } = error
      throw deny('ERR_CLIENT_CERT_MALFORMED', { structure: 'the certificate', reason, offset }, { depth })
    }
  }

  /** Forgets what its octets say, until somebody asks for it: a store may hold ten thousand certificates, and clients of a few come. */
  condense(): this {
    this.#subjectKey = this.subject.comparisonKey
    this.#fields = undefined
    return this
  }

  /** In memory of its own, whoever asks. */
  get der(): Uint8Array {
    void this.#read
    return this.#der
  }

  /** Its octets were read before, and have not changed. Whoever uses it from now on keeps nothing else of its store alive. */
  get #read(): CertificateFields {
    if (this.#fields === undefined) {
      this.#der = apart(this.#der)
      this.#fields = new CertificateFields(this.#der)
      this.freeze()
    }
    return this.#fields
  }

  /**
   * From now on nobody changes what was read of it, but for octets: of what is one for many clients, every application gets to see. The end entity's is
   * its client's own, and is left as it is, for the time that takes.
   */
  freeze(): void {
    if (Object.isFrozen(this)) return
    Object.freeze(this)
    this.#read.freeze()
  }

  /** 1, 2 or 3. */
  get version(): number {
    return this.#read.version
  }

  /** INTEGER contents, two's complement: a copy, for it is what revocation is asked by. */
  get serialNumber(): Uint8Array {
    return new Uint8Array(this.#read.serialNumber)
  }

  get issuer(): DistinguishedName {
    return this.#read.issuer
  }

  get subject(): DistinguishedName {
    return this.#read.subject
  }

  /** The subject's comparison key, known without reading it again. */
  get subjectKey(): string {
    return this.#subjectKey ?? this.subject.comparisonKey
  }

  get publicKey(): SubjectPublicKeyInfo {
    return this.#read.publicKey
  }

  /** Every extension in order, known or not. */
  get extensionList(): readonly Extension[] {
    return this.#read.extensionList
  }

  get extensions(): Readonly<Extensions> {
    return this.#read.extensions
  }

  /** The algorithm the signed part names; RFC 5280 §4.1.1.2 wants it equal to `signatureAlgorithm`. */
  get tbsSignature(): AlgorithmIdentifier {
    return this.#read.tbsSignature
  }

  get signatureAlgorithm(): AlgorithmIdentifier {
    return this.#read.signatureAlgorithm
  }

  /** The signed part, TBSCertificate. */
  get tbs(): Uint8Array {
    const { tbsStart, tbsEnd } = this.#read
    return this.der.subarray(tbsStart, tbsEnd)
  }

  /** The last octets of all (§4.1). */
  get signature(): Uint8Array {
    return this.der.subarray(this.#read.signatureStart)
  }

  /** SHA-256 of the DER, lower-case hex. */
  get fingerprint(): string {
    this.#fingerprint ??= hash('sha256', this.#der, 'hex')
    return this.#fingerprint
  }

  /** Subject and issuer are one name (RFC 5280 §3.2); says nothing about who signed. */
  get isSelfIssued(): boolean {
    this.#isSelfIssued ??= this.subject.equals(this.issuer)
    return this.#isSelfIssued
  }
}

/** In memory of its own: a slab shared with other buffers would be kept as a whole for as long as the certificate is. */
function apart(der: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(der.length)
  copy.set(der)
  return copy
}

function checkLength({ length }: Uint8Array, depth: number | undefined): void {
  if (length <= limits.certificateBytes) return
  const reason = `longer than ${limits.certificateBytes} octets`
  throw deny('ERR_CLIENT_CERT_MALFORMED', { structure: 'the certificate', reason }, { depth })
}
