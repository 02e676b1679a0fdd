import { DerReader } from '../der/reader.js'
import type { CertificateRevocationList } from '../x509/crl.js'
import { readCrlEntry } from '../x509/crl-entry.js'
import { oid } from '../x509/oid.js'
import { EntryIssuers } from './entry-issuers.js'
import { hashIssuer, hashSerial } from './serial-hash.js'
import { serialNumberAt, shortestEntry, usualEntryEnd } from './usual-entry.js'

/** Octets that one slice reads: some hundred microseconds. The first ones are smaller: code that never ran is ten times slower. */
const slice = 262_144
const firstSlice = 4_096
/** An octet of an entry of another than the usual shapes takes as long as so many of theirs. */
const unusualOctet = 32

/**
 * Reads the entries of a CRL in one pass, strictly: where each is, and the hash it is found by. Throws {@link DerError} at the first that is
 * malformed.
 */
export class EntryScan {
  readonly issuers: EntryIssuers
  /** The critical extension of an entry because of which the CRL must not be used. */
  unknownCriticalExtension: string | undefined
  /** Room for as many entries as there may be. What is not needed is never touched, and so takes no memory. */
  readonly #offsets: Uint32Array
  readonly #hashes: Uint32Array
  #count = 0
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #version: number
  readonly #isIndirect: boolean
  readonly #end: number
  #at: number
  #slice = firstSlice

  constructor({ der, entries, version, issuer, extensions }: CertificateRevocationList) {
    const room = Math.floor(entries.length / shortestEntry)
    this.issuers = new EntryIssuers(issuer)
    this.#offsets = new Uint32Array(room)
    this.#hashes = new Uint32Array(room)
    this.#bytes = der
    this.#view = new DataView(der.buffer, der.byteOffset, der.length)
    this.#version = version
    this.#isIndirect = extensions.issuingDistributionPoint?.indirectCRL === true
    this.#at = entries.byteOffset - der.byteOffset
    this.#end = this.#at + entries.length
  }

  /** Offsets into the CRL of the entries read so far. */
  get offsets(): Uint32Array {
    return this.#offsets.subarray(0, this.#count)
  }

  /** Their hashes, in the same order. */
  get hashes(): Uint32Array {
    return this.#hashes.subarray(0, this.#count)
  }

  /** Reads on for a while; false where all is read. */
  readSlice(): boolean {
    const [bytes, view, end] = [this.#bytes, this.#view, this.#end]
    const [offsets, hashes] = [this.#offsets, this.#hashes]
    const hasExtensions = this.#version > 1
    let [at, count] = [this.#at, this.#count]
    let issuerHash = hashIssuer(this.issuers.current)
    let stop = Math.min(end, at + this.#slice)
    this.#slice = Math.min(slice, 2 * this.#slice)
    while (at < stop) {
      let next = usualEntryEnd(bytes, view, at, end, hasExtensions)
      if (next === 0) {
        next = this.#readUnusual(at)
        issuerHash = hashIssuer(this.issuers.current)
        stop -= unusualOctet * (next - at)
      }
      const serial = serialNumberAt(bytes, at)
      offsets[count] = at
      hashes[count++] = hashSerial(view, serial, bytes[serial - 1] as number, issuerHash)
      at = next
    }
    this.#at = at
    this.#count = count
    return at < end
  }

  /** Whatever {@link usualEntryEnd} does not know; it may be perfectly well-formed. */
  #readUnusual(at: number): number {
    const reader = new DerReader(this.#bytes, at, this.#end)
    const { certificateIssuer, unknownCriticalExtension } = readCrlEntry(reader, this.#version)
    this.unknownCriticalExtension ??= unknownCriticalExtension
    if (certificateIssuer !== undefined) {
      // §5.3.3: an indirect CRL says so, and an issuer has a distinguished name. Whose these entries are otherwise, nobody can say.
      const isKnown = this.issuers.begin(at, certificateIssuer) && this.#isIndirect
      if (!isKnown) this.unknownCriticalExtension ??= oid.certificateIssuer
    }
    return reader.position
  }
}
