import * as asn1js from 'asn1js'

export type Block = asn1js.BaseBlock

export const toDer = (block: Block): Uint8Array => new Uint8Array(block.toBER())

/** Octets that are DER already, or meant to be wrong. asn1js would decode them, and its RawData vanishes in a Sequence. */
export const encoded = (octets: Uint8Array | ArrayBuffer): Block =>
  Object.assign(new asn1js.BaseBlock(), {
    toBER(_sizeOnly?: boolean, writer?: asn1js.ViewWriter): ArrayBuffer {
      writer?.write(octets)
      return new Uint8Array(octets).buffer
    },
  })

export const sequence = (...value: Block[]): Block => new asn1js.Sequence({ value })

/** asn1js leaves the order to us: DER wants the members of a SET OF sorted by their encodings. */
export const setOf = (members: readonly Block[]): Block =>
  new asn1js.Set({ value: members.toSorted((a, b) => Buffer.compare(toDer(a), toDer(b))) })

/** `[n] EXPLICIT`, or `[n] IMPLICIT` of something constructed. */
export const context = (tagNumber: number, ...value: Block[]): Block =>
  new asn1js.Constructed({ idBlock: { tagClass: 3, tagNumber }, value })

/** `[n] IMPLICIT` of a text. */
export const contextText = (tagNumber: number, text: string): Block =>
  new asn1js.Primitive({ idBlock: { tagClass: 3, tagNumber }, valueHex: Buffer.from(text) })

export const integer = (value: number | bigint): Block => asn1js.Integer.fromBigInt(value)

/** asn1js and @peculiar/x509 write whatever they can read of a malformed one. */
export function checkOid(dotted: string): string {
  if (!/^[012](\.\d+)+$/.test(dotted)) throw new TypeError(`not an object identifier: "${dotted}"`)
  return dotted
}

export const oid = (dotted: string): Block => new asn1js.ObjectIdentifier({ value: checkOid(dotted) })

/** UTCTime for 1950 to 2049, GeneralizedTime otherwise; whole seconds (RFC 5280 §4.1.2.5). */
export function time(date: Date): Block {
  const valueDate = new Date(`${date.toISOString().slice(0, -5)}Z`)
  const year = date.getUTCFullYear()
  const Time = year >= 1950 && year < 2050 ? asn1js.UTCTime : asn1js.GeneralizedTime
  return new Time({ valueDate })
}
