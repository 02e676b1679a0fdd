import { checkBitString } from '../der/contents.js'
import { DerError, DerReader, explicit, implicit } from '../der/reader.js'
import { type AlgorithmIdentifier, readAlgorithmIdentifier, SubjectPublicKeyInfo } from './algorithm.js'
import { type Extension, readExtensionList } from './extension-list.js'
import { decodeExtension, Extensions, readCertificateExtension } from './extensions.js'
import { freezeWhole } from './freeze.js'
import { DistinguishedName } from './name.js'
import { oid } from './oid.js'
import { readSerialNumber } from './serial-number.js'

/** Every field of a certificate, and every extension of RFC 5280 §4.2 by its type (§4.1). Reading throws {@link DerError}. */
export class CertificateFields {
  readonly version: number
  readonly serialNumber: Uint8Array
  readonly issuer: DistinguishedName
  readonly subject: DistinguishedName
  readonly notBefore: number
  readonly notAfter: number
  readonly publicKey: SubjectPublicKeyInfo
  readonly extensionList: readonly Extension[]
  readonly extensions: Readonly<Extensions>
  readonly tbsSignature: AlgorithmIdentifier
  readonly signatureAlgorithm: AlgorithmIdentifier
  // Places instead of views: a view takes a hundred octets.
  readonly tbsStart: number
  readonly tbsEnd: number
  readonly signatureStart: number

  constructor(der: Uint8Array) {
    const outer = new DerReader(der)
    const certificate = outer.enter()
    outer.finish()
    this.tbsStart = certificate.position
    const tbs = certificate.enter()
    this.tbsEnd = certificate.end
    this.signatureAlgorithm = readAlgorithmIdentifier(certificate)
    this.signatureStart = certificate.bitStringStart()
    certificate.finish()

    this.version = readVersion(tbs)
    this.serialNumber = readSerialNumber(tbs)
    this.tbsSignature = readAlgorithmIdentifier(tbs)
    this.issuer = DistinguishedName.readIssuer(tbs)
    if (this.issuer.isEmpty) throw new DerError('issuer is empty', tbs.start)
    const validity = tbs.enter()
    this.notBefore = validity.time()
    this.notAfter = validity.time()
    if (this.notAfter < this.notBefore) throw new DerError('notAfter is before notBefore', validity.start)
    validity.finish()
    this.subject = DistinguishedName.read(tbs, this.issuer)
    this.publicKey = new SubjectPublicKeyInfo(tbs)
    skipUniqueIdentifiers(tbs, this.version)
    this.extensionList = readExtensions(tbs, this.version)
    tbs.finish()
    this.extensions = decodeExtensions(this.extensionList)
    checkConsistency(this)
  }

  freeze(): void {
    this.issuer.freeze()
    this.subject.freeze()
    freezeWhole(this.publicKey.facts)
    for (const extension of this.extensionList) if (!Object.isFrozen(extension)) extension.freeze()
    Object.freeze(this.extensionList)
    Object.freeze(this.extensions)
  }
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
  return readExtensionList(sequence, readCertificateExtension)
}

function decodeExtensions(list: readonly Extension[]): Extensions {
  const extensions = new Extensions()
  for (const extension of list) decodeExtension(extensions, extension)
  return extensions
}

/** What single fields cannot say: RFC 5280 §4.1.2.6 and §4.2.1.3. */
function checkConsistency({ subject, extensionList, extensions }: CertificateFields): void {
  const isCa = extensions.basicConstraints?.cA === true
  if (subject.isEmpty) {
    if (isCa) throw new DerError('subject of a CA is empty', 0)
    const alternative = extensionList.find((extension) => extension.oid === oid.subjectAltName)
    if (alternative?.critical !== true) throw new DerError('subject is empty and subjectAltName is not critical', 0)
  }
}
