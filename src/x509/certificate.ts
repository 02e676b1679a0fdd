import { hash } from 'node:crypto'
import { checkBitString } from '../der/contents.js'
import { DerError, DerReader, explicit, implicit } from '../der/reader.js'
import { deny } from '../errors.js'
import { limits } from '../limits.js'
import { type AlgorithmIdentifier, readAlgorithmIdentifier, SubjectPublicKeyInfo } from './algorithm.js'
import { type Extension, readExtensionList } from './extension-list.js'
import { decodeExtension, Extensions } from './extensions.js'
import { DistinguishedName } from './name.js'
import { oid } from './oid.js'
import { readSerialNumber } from './serial-number.js'

/**
 * An X.509 certificate, read and screened (RFC 5280 §4.1): every field, and every extension of §4.2 by its type. Reading says
 * nothing about trust. Its octets are its own copy, so that nobody can change them after they were checked.
 */
export class Certificate {
  readonly der: Uint8Array
  /** 1, 2 or 3. */
  readonly version: number
  /** INTEGER contents, two's complement. */
  readonly serialNumber: Uint8Array
  readonly issuer: DistinguishedName
  readonly subject: DistinguishedName
  /** Milliseconds since 1970, both ends inclusive. */
  readonly notBefore: number
  readonly notAfter: number
  readonly publicKey: SubjectPublicKeyInfo
  /** Every extension in order, known or not. */
  readonly extensionList: readonly Extension[]
  readonly extensions: Readonly<Extensions>
  /** The algorithm the signed part names; RFC 5280 §4.1.1.2 wants it equal to `signatureAlgorithm`. */
  readonly tbsSignature: AlgorithmIdentifier
  readonly signatureAlgorithm: AlgorithmIdentifier
  // Places in `der` instead of views of it: a view takes a hundred octets, and a store has thousands of certificates it verifies nothing of.
  readonly #tbsStart: number
  readonly #tbsEnd: number
  readonly #signatureStart: number
  #fingerprint: string | undefined
  #isSelfIssued: boolean | undefined

  private constructor(der: Uint8Array) {
    const outer = new DerReader(der)
    const certificate = outer.enter()
    outer.finish()
    this.#tbsStart = certificate.position
    const tbs = certificate.enter()
    this.#tbsEnd = certificate.end
    this.der = der
    this.signatureAlgorithm = readAlgorithmIdentifier(certificate)
    this.#signatureStart = certificate.bitStringStart()
    certificate.finish()

    this.version = readVersion(tbs)
    this.serialNumber = readSerialNumber(tbs)
    this.tbsSignature = readAlgorithmIdentifier(tbs)
    this.issuer = DistinguishedName.read(tbs, true)
    if (this.issuer.isEmpty) throw new DerError('issuer is empty', tbs.start)
    const validity = tbs.enter()
    this.notBefore = validity.time()
    this.notAfter = validity.time()
    if (this.notAfter < this.notBefore) throw new DerError('notAfter is before notBefore', validity.start)
    validity.finish()
    this.subject = DistinguishedName.read(tbs)
    this.publicKey = new SubjectPublicKeyInfo(tbs)
    skipUniqueIdentifiers(tbs, this.version)
    this.extensionList = readExtensions(tbs, this.version)
    tbs.finish()
    this.extensions = decodeExtensions(this.extensionList)
    checkConsistency(this)
  }

  /**
   * Reads DER. Throws `ERR_CLIENT_CERT_MALFORMED` for whatever is not one certificate in DER, with the reason and the offset.
   *
   * @param depth where in a presented chain it stands, for the refusal; 0 is the end entity
   */
  static parse(der: Uint8Array, depth?: number): Certificate {
    checkLength(der, depth)
    // Memory of its own: a slab shared with other buffers would be kept as a whole for as long as the certificate is.
    const copy = Buffer.allocUnsafeSlow(der.length)
    copy.set(der)
    return Certificate.parseInPlace(copy, depth)
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

  /** The signed part, TBSCertificate. */
  get tbs(): Uint8Array {
    return this.der.subarray(this.#tbsStart, this.#tbsEnd)
  }

  /** The last octets of all (§4.1). */
  get signature(): Uint8Array {
    return this.der.subarray(this.#signatureStart)
  }

  /** SHA-256 of the DER, lower-case hex. */
  get fingerprint(): string {
    this.#fingerprint ??= hash('sha256', this.der, 'hex')
    return this.#fingerprint
  }

  /** Subject and issuer are one name (RFC 5280 §3.2); says nothing about who signed. */
  get isSelfIssued(): boolean {
    this.#isSelfIssued ??= this.subject.equals(this.issuer)
    return this.#isSelfIssued
  }
}

function checkLength({ length }: Uint8Array, depth: number | undefined): void {
  if (length <= limits.certificateBytes) return
  const reason = `longer than ${limits.certificateBytes} octets`
  throw deny('ERR_CLIENT_CERT_MALFORMED', { structure: 'the certificate', reason }, { depth })
}

/** §4.1.2.1; X.690 §11.5 forbids writing the DEFAULT. */
function readVersion(tbs: DerReader): number {
  if (tbs.peek() !== explicit(0)) return 1
  const wrapper = tbs.enter(explicit(0))
  const version = wrapper.nonNegative()
  wrapper.finish()
  if (version !== 1 && version !== 2) throw new DerError('version is not 2 or 3', wrapper.start)
  return version + 1
}

/** §4.1.2.8: BIT STRINGs, in versions 2 and 3 only; nothing uses them. */
function skipUniqueIdentifiers(tbs: DerReader, version: number): void {
  for (const n of [1, 2]) {
    if (tbs.peek() !== implicit(n)) continue
    tbs.next()
    checkBitString(tbs.bytes, tbs.start, tbs.end)
    if (version === 1) throw new DerError('unique identifier in a version 1 certificate', tbs.start)
  }
}

function readExtensions(tbs: DerReader, version: number): readonly Extension[] {
  if (tbs.peek() !== explicit(3)) return []
  const wrapper = tbs.enter(explicit(3))
  const sequence = wrapper.enter()
  wrapper.finish()
  if (version !== 3) throw new DerError('extensions in a certificate before version 3', sequence.position)
  return readExtensionList(sequence)
}

function decodeExtensions(list: readonly Extension[]): Extensions {
  const extensions = new Extensions()
  for (const extension of list) decodeExtension(extensions, extension)
  return extensions
}

/** What single fields cannot say: RFC 5280 §4.1.2.6 and §4.2.1.3. */
function checkConsistency({ subject, extensionList, extensions }: Certificate): void {
  const isCa = extensions.basicConstraints?.cA === true
  if (subject.isEmpty) {
    if (isCa) throw new DerError('subject of a CA is empty', 0)
    const alternative = extensionList.find((extension) => extension.oid === oid.subjectAltName)
    if (alternative?.critical !== true) throw new DerError('subject is empty and subjectAltName is not critical', 0)
  }
}
