import 'reflect-metadata'
import { GeneralName } from '@peculiar/x509'
import { IA5String, PrintableString, Utf8String } from 'asn1js'
import { type Block, context, contextText, encoded, oid, sequence, setOf, toDer } from './asn1.js'
import { lookUp } from './options.js'
import type { TestName, TestNames } from './types.js'

type AttributeType = readonly [type: string, StringType: typeof Utf8String | typeof PrintableString]

const attributeTypes: Record<string, AttributeType> = {
  cn: ['2.5.4.3', Utf8String],
  sn: ['2.5.4.4', Utf8String],
  serialnumber: ['2.5.4.5', PrintableString],
  c: ['2.5.4.6', PrintableString],
  l: ['2.5.4.7', Utf8String],
  st: ['2.5.4.8', Utf8String],
  street: ['2.5.4.9', Utf8String],
  o: ['2.5.4.10', Utf8String],
  ou: ['2.5.4.11', Utf8String],
  title: ['2.5.4.12', Utf8String],
  gn: ['2.5.4.42', Utf8String],
  dnqualifier: ['2.5.4.46', PrintableString],
  organizationidentifier: ['2.5.4.97', Utf8String],
  uid: ['0.9.2342.19200300.100.1.1', Utf8String],
  dc: ['0.9.2342.19200300.100.1.25', IA5String],
  e: ['1.2.840.113549.1.9.1', IA5String],
  emailaddress: ['1.2.840.113549.1.9.1', IA5String],
}

/** DER of the Name. @peculiar/x509 keeps the order of the text, loses escapes, and does not sort within an RDN. */
export function encodeName(name: TestName): Uint8Array {
  if (name instanceof Uint8Array) return name
  const rdns =
    typeof name === 'string'
      ? parseRdns(name).reverse()
      : name.map((rdn) =>
          Object.entries(rdn).flatMap(([type, values]) => values.map((value) => attribute(type, value))),
        )
  return toDer(sequence(...rdns.map(setOf)))
}

const ATTRIBUTE = /\s*([A-Za-z][\w-]*|\d+(?:\.\d+)+)\s*=\s*((?:\\.|[^\\,+";<>])*?)\s*([,+]|$)/gsy

/** RFC 4514 §3, with spaces allowed around separators. */
function parseRdns(text: string): Block[][] {
  if (text === '') return []
  const rdns: Block[][] = [[]]
  let [end, separator] = [0, ',']
  for (const match of text.matchAll(ATTRIBUTE)) {
    const [whole, type, value] = match as unknown as [string, string, string]
    rdns.at(-1)?.push(attribute(type, unescaped(value)))
    end += whole.length
    separator = match[3] as string
    if (separator === ',') rdns.push([])
  }
  if (end !== text.length || separator !== '') throw new TypeError(`not an RFC 4514 name: "${text}"`)
  return rdns
}

function unescaped(escaped: string): string | Block {
  if (/^#([0-9a-f]{2})+$/i.test(escaped)) return encoded(Buffer.from(escaped.slice(1), 'hex'))
  return escaped.replace(/((?:\\[0-9a-f]{2})+)|\\(.)/gis, (_, hex?: string, character?: string) =>
    hex ? Buffer.from(hex.replaceAll('\\', ''), 'hex').toString() : (character as string),
  )
}

function attribute(type: string, value: string | Block): Block {
  const [dotted, StringType]: AttributeType = /^\d/.test(type)
    ? [type, Utf8String]
    : lookUp(attributeTypes, 'attribute type', type.toLowerCase())
  // As octets: asn1js would cut a character that the string type does not have to one octet.
  const block = typeof value === 'string' ? new StringType({ valueHex: Buffer.from(value) }) : value
  return sequence(oid(dotted), block)
}

/** @peculiar/x509 cuts characters that IA5String does not have, and reads a directory name before it writes it. */
const generalNames: { [Kind in keyof Required<TestNames>]: (name: never) => Block } = {
  email: (text: string) => contextText(1, text),
  dns: (text: string) => contextText(2, text),
  uri: (text: string) => contextText(6, text),
  ip: (text: string) => encoded(new GeneralName('ip', canonicalAddress(text)).rawData),
  upn: (text: string) =>
    context(0, oid('1.3.6.1.4.1.311.20.2.3'), context(0, new Utf8String({ valueHex: Buffer.from(text) }))),
  directory: (name: TestName) => context(4, encoded(encodeName(name))),
}

/** DER of the GeneralNames. */
export function encodeGeneralNames(names: TestNames): Uint8Array {
  const list = Object.entries(names).flatMap(([kind, values = []]) => {
    const encode = lookUp<(name: never) => Block>(generalNames, 'option', kind)
    return (values as readonly never[]).map(encode)
  })
  return toDer(sequence(...list))
}

const ADDRESS = /^(\d+(\.\d+){3}|[\da-f:.]*:[\da-f:.]*)$/i

/**
 * URL knows which addresses are well-formed, and writes every form of IPv6 in hexadecimal groups: @peculiar/x509
 * misreads a dotted end (`::ffff:192.0.2.1`).
 */
function canonicalAddress(text: string): string {
  const url = `http://${text.includes(':') ? `[${text}]` : text}`
  if (!ADDRESS.test(text) || !URL.canParse(url)) throw new TypeError(`not an IP address: "${text}"`)
  return new URL(url).hostname.replace(/^\[|\]$/g, '')
}
