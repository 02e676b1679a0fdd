import { DerReader } from '../der/reader.js'
import type { CertificateRevocationList } from '../x509/crl.js'
import { CRLReason, readCrlEntry } from '../x509/crl-entry.js'
import type { DistinguishedName } from '../x509/name.js'
import type { EntryIssuers } from './entry-issuers.js'
import { EntryScan } from './entry-scan.js'
import { nextTurn } from './next-turn.js'
import { hashIssuer, hashSerial, isHashable, serialView } from './serial-hash.js'
import { SerialTable } from './serial-table.js'
import { readUsualEntry, serialNumberAt } from './usual-entry.js'

/** What a CRL says of one certificate it lists. */
export interface RevokedEntry {
  /** Milliseconds since 1970. */
  readonly revocationDate: number
  /** CRLReason, RFC 5280 §5.3.1; undefined where the CRL gives none. */
  readonly reason: number | undefined
  /** Milliseconds since 1970, §5.3.2. */
  readonly invalidityDate?: number
}

/**
 * Finds the entries of one CRL by certificate issuer and serial number. Stands on the octets of the CRL, which must not change, and holds 6 to
 * 8 octets for an entry beside them; in an indirect CRL 16 more where the issuer changes.
 */
export class CrlIndex {
  readonly #crl: CertificateRevocationList
  readonly #view: DataView
  readonly #table: SerialTable
  readonly #issuers: EntryIssuers
  /** How many entries the CRL has. */
  readonly size: number
  /**
   * A critical extension of an entry that is not understood: the CRL must not be used for any certificate (RFC 5280 §5.3). It may also be
   * certificateIssuer, in a CRL that is not indirect or without a distinguished name.
   */
  readonly unknownCriticalExtension: string | undefined

  private constructor(crl: CertificateRevocationList, scan: EntryScan, table: SerialTable) {
    this.#crl = crl
    this.#view = new DataView(crl.der.buffer, crl.der.byteOffset, crl.der.length)
    this.#table = table
    this.#issuers = scan.issuers
    this.size = scan.offsets.length
    this.unknownCriticalExtension = scan.unknownCriticalExtension
  }

  /** Octets it holds beside the DER. */
  get byteLength(): number {
    return this.#table.byteLength
  }

  /**
   * The entry for the certificate with this serial number (INTEGER contents) of this issuer; undefined where the CRL does not list it. Of several
   * for one certificate it is the first whose reason is not removeFromCRL, and one of those only where there is no other: revoked wins.
   *
   * Throws where the CRL has an {@link unknownCriticalExtension}: its callers have to look at that first.
   */
  find(serialNumber: Uint8Array, issuer: DistinguishedName): RevokedEntry | undefined {
    const unknown = this.unknownCriticalExtension ?? this.#crl.unknownCriticalExtension
    if (unknown !== undefined) throw new Error(`a CRL with the critical extension ${unknown} says nothing`)
    if (!isHashable(serialNumber)) return undefined
    const asked = serialView(serialNumber)
    let released: RevokedEntry | undefined
    for (const number of this.#issuers.numbersOf(issuer.comparisonKey)) {
      const hash = hashSerial(asked, 0, serialNumber.length, hashIssuer(number))
      const end = this.#table.endOf(hash)
      for (let place = this.#table.startOf(hash); place < end; place++) {
        const offset = this.#table.offsetAt(place)
        if (!this.#isAbout(offset, serialNumber, number)) continue
        const entry = this.#read(offset)
        if (entry.reason !== CRLReason.removeFromCRL) return entry
        released ??= entry
      }
    }
    return released
  }

  #isAbout(offset: number, serialNumber: Uint8Array, issuer: number): boolean {
    const { der } = this.#crl
    const start = serialNumberAt(der, offset)
    if (der[start - 1] !== serialNumber.length) return false
    for (let i = 0; i < serialNumber.length; i++) if (der[start + i] !== serialNumber[i]) return false
    return this.#issuers.at(offset) === issuer
  }

  #read(offset: number): RevokedEntry {
    const { der, version } = this.#crl
    const usual = readUsualEntry(der, this.#view, offset)
    if (usual !== undefined) return usual
    const { revocationDate, reason, invalidityDate } = readCrlEntry(new DerReader(der, offset), version)
    return invalidityDate === undefined ? { revocationDate, reason } : { revocationDate, reason, invalidityDate }
  }

  /**
   * Reads every entry, strictly, and yields between slices of work.
   *
   * @param bits for tests: 2^bits buckets
   */
  static *build(crl: CertificateRevocationList, bits?: number): Generator<void, CrlIndex> {
    const scan = new EntryScan(crl)
    while (scan.readSlice()) yield
    const table = yield* SerialTable.of(scan.hashes, scan.offsets, bits)
    return new CrlIndex(crl, scan, table)
  }
}

/**
 * Reads the entries of a CRL and makes them findable, without keeping the event loop for more than a few milliseconds at a time. Rejects with
 * {@link DerError} where an entry is malformed: then the whole CRL is.
 *
 * @param pause called between slices of work; what it returns is awaited. Lets other work run, if not said otherwise.
 * @example
 * const crl = CertificateRevocationList.parse(der)
 * const index = await indexEntries(crl)
 * if ((crl.unknownCriticalExtension ?? index.unknownCriticalExtension) === undefined) index.find(serialNumber, issuer)
 */
export async function indexEntries(
  crl: CertificateRevocationList,
  pause: () => Promise<void> | undefined = nextTurn,
): Promise<CrlIndex> {
  const work = CrlIndex.build(crl)
  for (;;) {
    const { done, value } = work.next()
    if (done) return value
    const waiting = pause()
    if (waiting !== undefined) await waiting
  }
}

/** The same in one go: for CRLs of up to about two thousand entries, a millisecond. Throws what {@link indexEntries} rejects with. */
export function indexEntriesNow(crl: CertificateRevocationList): CrlIndex {
  const work = CrlIndex.build(crl)
  for (;;) {
    const { done, value } = work.next()
    if (done) return value
  }
}
