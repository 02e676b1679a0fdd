import { DerError, DerReader, Tag } from '../der/reader.js'
import { limits } from '../limits.js'

/** One extension as it stands in a certificate, a CRL or an entry of one. */
export class Extension {
  readonly oid: string
  readonly critical: boolean
  readonly #bytes: Uint8Array
  readonly #start: number
  readonly #end: number

  constructor(oid: string, critical: boolean, bytes: Uint8Array, start: number, end: number) {
    this.oid = oid
    this.critical = critical
    this.#bytes = bytes
    this.#start = start
    this.#end = end
  }

  /** Contents of extnValue: usually, but not always, DER. */
  get value(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end)
  }

  /** Reads extnValue, which must hold exactly the element that `decode` reads. */
  decode<T>(decode: (reader: DerReader) => T): T {
    const reader = new DerReader(this.#bytes, this.#start, this.#end)
    const value = decode(reader)
    reader.finish()
    return value
  }
}

/** Reads an Extensions sequence whose header has been entered: at least one, none twice (RFC 5280 §4.2). */
export function readExtensionList(sequence: DerReader): readonly Extension[] {
  const list: Extension[] = []
  do {
    if (list.length === limits.extensions) throw new DerError('too many extensions', sequence.position)
    const at = sequence.position
    const item = sequence.enter()
    const identifier = item.oid()
    for (const { oid: other } of list) if (other === identifier) throw new DerError(`extension ${identifier} twice`, at)
    const critical = item.peek() === Tag.boolean ? item.boolean() : undefined
    if (critical === false) throw new DerError('critical FALSE is the DEFAULT and must not be written', at)
    item.expect(Tag.octetString)
    item.finish()
    list.push(new Extension(identifier, critical === true, item.bytes, item.start, item.end))
  } while (sequence.peek() !== -1)
  // A list that grew keeps room for sixteen more, and stores hold many certificates.
  return list.slice()
}
