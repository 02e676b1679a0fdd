import { DerError, DerReader, Tag } from '../der/reader.js'
import { limits } from '../limits.js'
import { freezeWhole } from './freeze.js'

/** One extension as it stands in a certificate, a CRL or an entry of one. */
export class Extension {
  readonly oid: string
  readonly critical: boolean
  readonly #bytes: Uint8Array
  readonly #start: number
  readonly #end: number
  #decoder: ((reader: DerReader) => unknown) | undefined
  #decoded: unknown

  constructor(oid: string, critical: boolean, bytes: Uint8Array, start: number, end: number) {
    this.oid = oid
    this.critical = critical
    this.#bytes = bytes
    this.#start = start
    this.#end = end
  }

  /** Contents of extnValue: usually, but not always, DER. A copy: what is read of them is kept. */
  get value(): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(this.#start, this.#end))
  }

  /** Reads extnValue, which must hold exactly the element that `decode` reads. Whoever decodes it as it was decoded first gets the same value. */
  decode<T>(decode: (reader: DerReader) => T): T {
    if (this.#decoder === decode) return this.#decoded as T
    const reader = new DerReader(this.#bytes, this.#start, this.#end)
    const value = decode(reader)
    reader.finish()
    if (this.#decoder === undefined) {
      this.#decoder = decode
      this.#decoded = value
    }
    return value
  }

  /** With what it was decoded to: false where octets are in that, which nobody can freeze. */
  freeze(): boolean {
    Object.freeze(this)
    return freezeWhole(this.#decoded)
  }
}

/**
 * Reads an Extensions sequence whose header has been entered: at least one, none twice (RFC 5280 §4.2).
 *
 * @param read reads one, where more is known of it than that it is an extension
 */
export function readExtensionList(sequence: DerReader, read = readExtension): readonly Extension[] {
  const list: Extension[] = []
  do {
    const at = sequence.position
    if (list.length === limits.extensions) throw new DerError('too many extensions', at)
    const extension = read(sequence)
    for (const { oid } of list) if (oid === extension.oid) throw new DerError(`extension ${oid} twice`, at)
    list.push(extension)
  } while (sequence.peek() !== -1)
  // A list that grew keeps room for sixteen more, and stores hold many certificates.
  return list.slice()
}

/** Reads the extension the cursor stands on. */
export function readExtension(sequence: DerReader): Extension {
  const at = sequence.position
  return readFields(sequence.enter(), at)
}

/** The fields of an extension that begins at `at`. */
export function readFields(item: DerReader, at: number): Extension {
  const identifier = item.oid()
  const critical = item.peek() === Tag.boolean ? item.boolean() : undefined
  if (critical === false) throw new DerError('critical FALSE is the DEFAULT and must not be written', at)
  item.expect(Tag.octetString)
  item.finish()
  return new Extension(identifier, critical === true, item.bytes, item.start, item.end)
}
