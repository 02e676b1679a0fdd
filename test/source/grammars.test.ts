/** The grammars of one line each; `presets.test.ts` has what products write, this what they do not. */
import { describe, expect, test } from '@jest/globals'
import {
  base64Der,
  commaSeparated,
  commaSeparatedEscaped,
  haproxyDer,
  openshiftDer,
} from '../../src/source/base64-der.js'
import { DecodingError, type HeaderDecoder } from '../../src/source/decoding.js'
import { awsPem, awsPemChain, cloudfrontPem } from '../../src/source/escaped-pem.js'
import { spacedPem } from '../../src/source/spaced-pem.js'
import { pemOf, percentEncode } from '../support/products.js'

/** A SEQUENCE with every kind of base64 digit in it, and two that are padded in two ways. */
const sequence = (length: number) =>
  Uint8Array.from([
    0x30,
    0x82,
    length >> 8,
    length & 255,
    0,
    0,
    0xfb,
    0xef,
    0xbe,
    0xff,
    0xff,
    0xff,
    ...new Array(length - 8).fill(0x5a),
  ])
const one = sequence(301)
const two = sequence(302)
const base64 = (der: Uint8Array) => Buffer.from(der).toString('base64')
const hex = (list: readonly Uint8Array[] | undefined) => list?.map((der) => Buffer.from(der).toString('hex'))

test('the samples have what base64 can have', () => {
  expect(base64(one)).toMatch(/\+.*\/.*=$/)
  expect(base64(two)).toMatch(/[^=]$/)
})

interface Grammar {
  readonly decoder: HeaderDecoder
  readonly accepted: readonly [name: string, value: string, ders?: readonly Uint8Array[]][]
  readonly refused: readonly [name: string, value: string][]
}

const aws = (text: string) => percentEncode(text, '+/=')
const spaced = (der: Uint8Array) => pemOf(der).slice(0, -1).replaceAll('\n', ' ')

const grammars: Record<string, Grammar> = {
  'base64 of DER': {
    decoder: base64Der,
    accepted: [['as it is', base64(one)]],
    refused: [
      ['base64url', base64(one).replaceAll('+', '-').replaceAll('/', '_')],
      ['no padding', base64(one).replace(/=+$/, '')],
      ['too much padding', `${base64(two)}====`],
      ['a space inside', base64(one).replace('+', ' +')],
      ['plus become a space, as forms are decoded', base64(one).replaceAll('+', ' ')],
      [
        'pad bits that are not zero',
        base64(one).replace(/(.)=$/, (_, c: string) => `${String.fromCharCode(c.charCodeAt(0) + 1)}=`),
      ],
      ['junk behind', `${base64(two)}!`],
      ['a second one', `${base64(two)},${base64(two)}`],
      ['a space and a second one, as Node joins lines', `${base64(two)}, ${base64(two)}`],
      ['percent escapes', percentEncode(base64(one))],
      ['quotes', `"${base64(one)}"`],
      ['colons', `:${base64(one)}:`],
      ['NUL', `${base64(two)}\0`],
    ],
  },
  'base64 of OpenShift': {
    decoder: openshiftDer,
    accepted: [
      ['as HAProxy writes it', base64(one)],
      ['as HAProxy’s manual says', `"${base64(one)}"`],
    ],
    refused: [
      ['one quote', `"${base64(one)}`],
      ['one quote behind', `${base64(one)}"`],
      ['quotes twice', `""${base64(one)}""`],
      ['a space inside the quotes', `" ${base64(one)}"`],
      ['two in quotes', `"${base64(one)}","${base64(two)}"`],
      ['percent escapes', percentEncode(base64(one))],
      ['a quote alone', '"'],
      ['single quotes', `'${base64(one)}'`],
      ['an escaped quote', `"${base64(two)}\\""`],
      ['something behind', `"${base64(one)}"x`],
    ],
  },
  'bodies joined with commas': {
    decoder: commaSeparated,
    accepted: [
      ['one', base64(one)],
      ['three', [one, two, one].map(base64).join(','), [one, two, one]],
    ],
    refused: [
      ['a space behind a comma, as Node joins lines', `${base64(one)}, ${base64(two)}`],
      ['a comma at the end', `${base64(one)},`],
      ['a comma at the beginning', `,${base64(one)}`],
      ['two commas', `${base64(one)},,${base64(two)}`],
      ['one broken member', `${base64(one)},x,${base64(two)}`],
      ['escapes, as Traefik wrote until 2.9.1', percentEncode(base64(one))],
    ],
  },
  'escaped bodies joined with commas': {
    decoder: commaSeparatedEscaped,
    accepted: [
      ['one', percentEncode(base64(one))],
      ['two', [one, two].map((der) => percentEncode(base64(der))).join(','), [one, two]],
    ],
    refused: [
      ['no escapes, as Traefik writes since 2.9.2', base64(one)],
      ['an escaped comma', [one, two].map((der) => percentEncode(base64(der))).join('%2C')],
      ['lower-case escapes', percentEncode(base64(one)).toLowerCase()],
      ['everything escaped twice', percentEncode(percentEncode(base64(one)))],
      ['plus for space', percentEncode(base64(one)).replace('%2B', '+')],
    ],
  },
  'PEM with spaces': {
    decoder: spacedPem,
    accepted: [['as Apache writes it', spaced(one)]],
    refused: [
      ['a space at the end', `${spaced(one)} `],
      ['two spaces', spaced(one).replace('----- ', '-----  ')],
      ['lines of another length', spaced(one).replace(/ (?=\S+ -----END)/, '')],
      ['line breaks', pemOf(one)],
      ['tabs', pemOf(one).replaceAll('\n', '\t')],
      ['two certificates', `${spaced(one)} ${spaced(two)}`],
      ['two joined, as Apache merges lines', `${spaced(one)}, ${spaced(two)}`],
      ['another label', spaced(one).replaceAll('CERTIFICATE', 'PRIVATE KEY')],
      ['no END', spaced(one).slice(0, -25)],
      ['nothing inside', '-----BEGIN CERTIFICATE-----  -----END CERTIFICATE-----'],
      ['percent escapes', percentEncode(pemOf(one))],
      ['what a client sent beside "(null)"', `(null), ${spaced(one)}`],
    ],
  },
  'PEM of AWS, a chain': {
    decoder: awsPemChain,
    accepted: [
      ['+, / and = as they are, as the documentation says', aws(pemOf(one))],
      ['= escaped, as its example shows', percentEncode(pemOf(one), '+/')],
      ['a chain', aws(pemOf(one) + pemOf(two)), [one, two]],
    ],
    refused: [
      ['both forms of = in one value', `${aws(pemOf(one))}${percentEncode(pemOf(one), '+/')}`],
      ['everything escaped, as nginx does', percentEncode(pemOf(one))],
      ['plus become a space', aws(pemOf(one)).replaceAll('+', '%20')],
      ['plus become a space as it is', aws(pemOf(one)).replaceAll('+', ' ')],
      ['lower-case escapes', aws(pemOf(one)).replaceAll('%0A', '%0a')],
      ['one broken certificate in the chain', aws(pemOf(one) + pemOf(two).replace('Wlpa', 'Wl!a') + pemOf(one))],
      ['a private key in the chain', aws(pemOf(one) + pemOf(two).replaceAll('CERTIFICATE', 'PRIVATE KEY'))],
    ],
  },
  'PEM of AWS, one certificate': {
    decoder: awsPem,
    accepted: [['as it is', aws(pemOf(one))]],
    refused: [['a chain', aws(pemOf(one) + pemOf(two))]],
  },
  'PEM of CloudFront': {
    decoder: cloudfrontPem,
    accepted: [
      ['everything escaped', percentEncode(pemOf(one))],
      ['+/= as they are', aws(pemOf(one))],
    ],
    refused: [
      ['a mixture', percentEncode(pemOf(one)).replace('%2B', '+')],
      ['a chain', percentEncode(pemOf(one) + pemOf(two))],
    ],
  },
}

describe.each(Object.entries(grammars))('%s', (_, { decoder, accepted, refused }) => {
  test.each(accepted)('is read: %s', (_, value, ders = [one]) => {
    expect(hex(decoder.certificate(value))).toEqual(hex(ders))
  })
  test.each(refused)('is refused with %s', (_, value) => {
    expect(() => decoder.certificate(value)).toThrow(DecodingError)
  })
})

describe('chains in headers of their own', () => {
  const chain = (decoder: HeaderDecoder, ...lines: string[]) => hex(decoder.chain?.(lines))

  test('HAProxy: certificates one after the other', () => {
    expect(chain(haproxyDer, base64(Buffer.concat([one, two, one])))).toEqual(hex([one, two, one]))
    expect(chain(haproxyDer, '')).toEqual([])
  })

  test.each<[string, Uint8Array]>([
    ['something behind the last', Buffer.concat([one, Uint8Array.of(0)])],
    ['something between two', Buffer.concat([one, Uint8Array.of(0), two])],
    ['a last one that is cut off', Buffer.concat([one, two]).subarray(0, -1)],
    ['an indefinite length', Uint8Array.of(0x30, 0x80, 0, 0)],
    ['a short form, too small for a certificate', Uint8Array.of(0x30, 0x02, 0x05, 0x00)],
    ['a length of four octets', Uint8Array.of(0x30, 0x84, 0, 0, 1, 0)],
    ['another type', Buffer.concat([Uint8Array.of(0x31), one.subarray(1)])],
    ['an empty sequence with a long length', Uint8Array.of(0x30, 0x81, 0)],
  ])('HAProxy: %s is refused', (_, octets) => {
    const read = () => chain(haproxyDer, base64(octets))
    // An empty SEQUENCE splits, and is no certificate.
    if (octets.length === 3) expect(read()).toHaveLength(1)
    else expect(read).toThrow(DecodingError)
  })

  test('Apache: a field for each, "(null)" behind the last', () => {
    expect(chain(spacedPem, spaced(one), spaced(two), '(null)')).toEqual(hex([one, two]))
    expect(chain(spacedPem, '(null)', '')).toEqual([])
  })

  test('Apache: a hole in the chain is malformed', () => {
    expect(() => chain(spacedPem, '(null)', spaced(one))).toThrow(DecodingError)
    expect(() => chain(spacedPem, spaced(one), '', spaced(one))).toThrow(DecodingError)
  })
})
