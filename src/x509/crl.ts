import { DerError, DerReader, explicit, Tag } from '../der/reader.js'
import { limits } from '../limits.js'
import { type AlgorithmIdentifier, readAlgorithmIdentifier } from './algorithm.js'
import { type CrlExtensions, decodeCrlExtensions, isCrlExtension } from './crl-extensions.js'
import { type Extension, readExtensionList } from './extension-list.js'
import { DistinguishedName } from './name.js'

/**
 * A certificate revocation list, read but for its entries (RFC 5280 §5.1, §5.2): they are many, and `indexEntries` reads them. Reading says
 * nothing about trust.
 *
 * It stands on the octets it was given, without a copy, for they may be many: whoever gave them must not change them.
 */
export class CertificateRevocationList {
  readonly der: Uint8Array
  /** The signed part, TBSCertList. */
  readonly tbs: Uint8Array
  /** 1 or 2. */
  readonly version: number
  /** The algorithm the signed part names; §5.1.1.2 wants it equal to `signatureAlgorithm`, which is for whoever verifies. */
  readonly tbsSignature: AlgorithmIdentifier
  readonly signatureAlgorithm: AlgorithmIdentifier
  readonly signature: Uint8Array
  readonly issuer: DistinguishedName
  /** Milliseconds since 1970. */
  readonly thisUpdate: number
  /** Milliseconds since 1970. §5.1.2.5 requires it of CRL issuers, X.509 does not. */
  readonly nextUpdate: number | undefined
  /** Contents of revokedCertificates, entry after entry; empty where nothing is revoked. */
  readonly entries: Uint8Array
  /** Every extension in order, known or not. */
  readonly extensionList: readonly Extension[]
  readonly extensions: Readonly<CrlExtensions>
  /** A critical CRL extension that is not understood: the CRL must not be used for any certificate (§5.2). */
  readonly unknownCriticalExtension: string | undefined

  private constructor(der: Uint8Array) {
    const outer = new DerReader(der)
    const list = outer.enter()
    outer.finish()
    const tbsStart = list.position
    const tbs = list.enter()
    checkHead(list.inside())
    this.der = der
    this.tbs = der.subarray(tbsStart, list.end)
    this.signatureAlgorithm = readAlgorithmIdentifier(list)
    this.signature = list.bitStringOctets()
    list.finish()

    this.version = readVersion(tbs)
    this.tbsSignature = readAlgorithmIdentifier(tbs)
    this.issuer = DistinguishedName.read(tbs)
    if (this.issuer.isEmpty) throw new DerError('issuer is empty', tbs.start)
    this.thisUpdate = tbs.time()
    this.nextUpdate = isTime(tbs.peek()) ? tbs.time() : undefined
    if (this.nextUpdate !== undefined && this.nextUpdate < this.thisUpdate) {
      throw new DerError('nextUpdate is before thisUpdate', tbs.start)
    }
    this.entries = readEntries(tbs)
    this.extensionList = readExtensions(tbs, this.version)
    tbs.finish()
    this.extensions = decodeCrlExtensions(this.extensionList)
    checkConsistency(this)
    this.unknownCriticalExtension = this.extensionList.find(
      ({ oid, critical }) => critical && !isCrlExtension(oid),
    )?.oid
  }

  /**
   * Reads DER. Throws {@link DerError} with the reason and the offset for whatever is not one CRL in DER: its callers are loaders of files and
   * fetchers, who know what to call it.
   *
   * @param der octets that nobody changes from now on
   * @example
   * const crl = CertificateRevocationList.parse(readFileSync('clients.crl'))
   * crl.issuer.toString() // 'CN=Acme Client CA 1,O=Acme GmbH,C=DE'
   */
  static parse(der: Uint8Array): CertificateRevocationList {
    if (der.length > limits.crlBytes) throw new DerError(`longer than ${limits.crlBytes} octets`, 0)
    return new CertificateRevocationList(der)
  }
}

/** What is not entries is read without a pause. */
function checkHead(tbs: DerReader): void {
  let head = tbs.bytes.length
  let afterTime = false
  while (tbs.peek() !== -1) {
    tbs.next()
    if (afterTime && tbs.tag === Tag.sequence) head -= tbs.end - tbs.start
    afterTime = isTime(tbs.tag)
  }
  if (head > limits.crlHeadBytes) throw new DerError(`longer than ${limits.crlHeadBytes} octets without its entries`, 0)
}

const isTime = (tag: number) => tag === Tag.utcTime || tag === Tag.generalizedTime

/**
 * §5.1.2.1: where it is there, it is version 2. Version 1 is what is not there, and RFC 5280 §5 requires applications to process it. It has
 * neither CRL extensions nor entry extensions. Test: 'a version 1 CRL is read'.
 */
function readVersion(tbs: DerReader): number {
  if (tbs.peek() !== Tag.integer) return 1
  if (tbs.nonNegative() !== 1) throw new DerError('version is written and not 2', tbs.start)
  return 2
}

/**
 * §5.1.2.6: "When there are no revoked certificates, the revoked certificates list MUST be absent". An empty one is read all the same, as
 * OpenSSL, Go and webpki do: CAs write it, and it can mean nothing else. Test: 'an empty list of entries means none'.
 */
function readEntries(tbs: DerReader): Uint8Array {
  if (tbs.peek() !== Tag.sequence) return tbs.bytes.subarray(tbs.position, tbs.position)
  tbs.next()
  return tbs.contents()
}

/** §5.1.2.7. */
function readExtensions(tbs: DerReader, version: number): readonly Extension[] {
  if (tbs.peek() !== explicit(0)) return []
  const wrapper = tbs.enter(explicit(0))
  const sequence = wrapper.enter()
  wrapper.finish()
  if (version === 1) throw new DerError('CRL extensions in a version 1 CRL', sequence.position)
  return readExtensionList(sequence)
}

/** A delta CRL without a number follows nothing and is followed by nothing: §5.2.4 (d). */
function checkConsistency({ extensions: { cRLNumber, deltaCRLIndicator } }: CertificateRevocationList): void {
  if (deltaCRLIndicator !== undefined && cRLNumber === undefined) throw new DerError('delta CRL without cRLNumber', 0)
}
