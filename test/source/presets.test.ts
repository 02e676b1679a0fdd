/**
 * Every preset is the inverse of what its product writes. `DECODER_RUNS=100000` is the full run (`npm run test:decoders`), which CI makes;
 * without it each property gets as many inputs as keep this file short.
 */
import { beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  createAuthenticator,
  forwardedHeader,
  type PresentedChain,
  type PresetName,
  proxyAddress,
  type Reading,
} from '../../src/index.js'
import { limits } from '../../src/limits.js'
import { absentForms, presets, textFields, textOnly } from '../../src/source/presets.js'
import { createTestPki, type TestPki } from '../../src/testing.js'
import { type Fields, products } from '../support/products.js'
import { bestTime, readNow, requestWith, thrownBy } from './request.js'

const runs = Number(process.env.DECODER_RUNS ?? 400)
const from = proxyAddress('10.0.3.7')
const names = Object.keys(presets) as PresetName[]
const hex = (der: Uint8Array | undefined) => der && Buffer.from(der).toString('hex')

let pki: TestPki
/** Certificates of every key, as DER. */
let leaves: readonly Uint8Array[]
let chain: readonly Uint8Array[]
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  const keys = ['P-256', 'P-384', 'RSA-2048', 'Ed25519'] as const
  const made = await Promise.all(keys.map((keyAlgorithm) => pki.issue({ keyAlgorithm })))
  leaves = made.map(({ certificate }) => certificate.der)
  chain = [pki.intermediate.certificate.der, pki.root.certificate.der]
})

const sourceOf = (preset: PresetName) => {
  const { headers } = products[preset]
  return forwardedHeader({ preset, from, ...(headers === undefined ? {} : { headers }) })
}
const presentedIn = (reading: Reading) =>
  reading.presented === undefined
    ? undefined
    : [reading.presented.certificate, ...reading.presented.intermediates].map(hex)

test('every preset has its product here, and every product its preset', () => {
  expect(Object.keys(products).sort()).toEqual([...names].sort())
})

describe.each(names)('%s', (preset) => {
  const product = products[preset]

  test('reads what the product writes, for every kind of key', () => {
    for (const leaf of leaves) {
      const expected = [leaf, ...(product.sendsChain ? chain : [])].map(hex)
      const request = requestWith(product.write(leaf, chain))
      expect(presentedIn(readNow(sourceOf(preset), request))).toEqual(expected)
      const alone = requestWith(product.write(leaf, []))
      expect(presentedIn(readNow(sourceOf(preset), alone))).toEqual([hex(leaf)])
    }
  })

  test.each(product.none.map((fields) => [JSON.stringify(fields), fields] as const))('absent: %s', (_, fields) => {
    expect(readNow(sourceOf(preset), requestWith(fields))).toMatchObject({
      presented: undefined,
      absent: { cause: 'header-absent', wasSent: false, whereToLook: presets[preset].whereToLook },
    })
  })

  test('absent as well: what any of the products writes for none', () => {
    const header = presets[preset].certificate as string
    expect(absentForms.size).toBe(4)
    for (const value of absentForms) {
      const reading = readNow(sourceOf(preset), requestWith([[header, value]]))
      expect([value, reading]).toMatchObject([value, { absent: { cause: 'header-absent' } }])
    }
  })

  test('what nobody writes for none is malformed', () => {
    const header = presets[preset].certificate as string
    for (const value of [
      '-',
      'null',
      'undefined',
      'none',
      '()',
      '(NULL)',
      ':',
      ':::',
      '{}',
      '%28null%29',
      '(null), (null)',
    ]) {
      const { code } = thrownBy(() => readNow(sourceOf(preset), requestWith([[header, value]])))
      expect([value, code]).toEqual([value, 'ERR_CLIENT_CERT_HEADER_MALFORMED'])
    }
  })

  test(`whatever octets go in, the same come out (${Math.ceil(runs / 20)} inputs)`, () => {
    const source = sourceOf(preset)
    // Lengths of DER a product can write: XFCC and HAProxy's chain look at the octets, so those are certificates.
    const octets =
      presets[preset].chainInValue || product.sendsChain
        ? fc.constantFrom(...leaves)
        : fc
            .uint8Array({ minLength: 256, maxLength: 600 })
            .map((content) => Uint8Array.of(0x30, 0x82, content.length >> 8, content.length & 255, ...content))
    fc.assert(
      fc.property(octets, fc.subarray([...chain]), (leaf, others) => {
        const expected = [leaf, ...(product.sendsChain ? others : [])].map(hex)
        expect(presentedIn(readNow(source, requestWith(product.write(leaf, others))))).toEqual(expected)
      }),
      { numRuns: Math.ceil(runs / 20) },
    )
  })

  test(`one changed octet is the same certificate or nobody's, never another (${runs} inputs)`, async () => {
    const source = sourceOf(preset)
    const authenticator = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
    const written = leaves.map((leaf) => product.write(leaf, chain))
    const known = new Set(leaves.map((leaf) => hex(leaf)))
    let authentications = 2_000

    /** What was presented, where the header was read. */
    function readMutant(fields: Fields): PresentedChain | undefined {
      try {
        return readNow(source, requestWith(fields)).presented
      } catch (error) {
        const code = (error as { code?: string }).code
        if (code !== 'ERR_CLIENT_CERT_HEADER_MALFORMED' && code !== 'ERR_CLIENT_CERT_HEADER_AMBIGUOUS') throw error
        return undefined
      }
    }

    const random = seeded(names.indexOf(preset) + 1)
    for (let run = 0; run < runs; run++) {
      const which = random(written.length)
      const [[name, value], ...others] = written[which] as [readonly [string, string], ...Fields]
      const how = (['replace', 'remove', 'insert', 'swap'] as const)[random(4)]
      const text = changed(value, random(value.length), String.fromCharCode(0x20 + random(0xe0)), how)
      const presented = readMutant([[name, text], ...others])
      if (presented === undefined) continue
      const read = hex(presented.certificate)
      if (read === hex(leaves[which])) continue
      // Another digit of base64 is another octet: of nobody's certificate, and refused by X.509 or by its signature.
      if (known.has(read)) throw new Error(`run ${run}: another certificate`)
      if (authentications-- > 0) expect((await authenticator.authenticateChain(presented)).outcome).toBe('refused')
    }
    await authenticator.close()
  })

  test('H-14: a header of the largest size is refused in linear time, and one octet more unread', () => {
    const header = presets[preset].certificate as string
    const value = product.write(leaves[0] as Uint8Array, chain)[0]?.[1] as string
    for (const text of ['%', '%2B', 'A', 'M,', 'a=b;', '"', ',', ':', '-----BEGIN CERTIFICATE----- ', value]) {
      const full = text.repeat(Math.ceil(limits.headerBytes / text.length)).slice(0, limits.headerBytes)
      const source = sourceOf(preset)
      const time = bestTime(() => thrownBy(() => readNow(source, requestWith([[header, full]]))))
      expect([text, time < 150]).toEqual([text, true])
      const error = thrownBy(() => readNow(sourceOf(preset), requestWith([[header, `${full}x`]])))
      expect(error.detail?.reason).toBe(
        `came with ${limits.headerBytes + 1} octets, the limit is ${limits.headerBytes}`,
      )
    }
  })

  test(`more than ${limits.presentedCertificates} certificates are malformed, as many are read`, () => {
    if (!product.sendsChain || preset === 'apache') return
    const [leaf] = leaves as [Uint8Array]
    const many = (count: number) => product.write(leaf, new Array(count - 1).fill(chain[0]))
    expect(presentedIn(readNow(sourceOf(preset), requestWith(many(limits.presentedCertificates))))).toHaveLength(16)
    const { code } = thrownBy(() => readNow(sourceOf(preset), requestWith(many(limits.presentedCertificates + 1))))
    expect(code).toBe('ERR_CLIENT_CERT_HEADER_MALFORMED')
  })

  test('one certificate of a list that is broken makes all of it malformed', () => {
    if (!product.sendsChain) return
    const [leaf] = leaves as [Uint8Array]
    const fields = product.write(leaf, chain)
    const last = fields.findLastIndex(([, value]) => value.length > 100)
    const [name, value] = fields[last] as [string, string]
    const end = value.search(/(?:={0,2}|%3D|%0A|-|END|CERTIFICATE|%20|[:";\s]|Subject=.*)*$/)
    const broken = fields.map((field, i) =>
      i === last ? ([name, `${value.slice(0, end - 40)}!${value.slice(end - 39)}`] as const) : field,
    )
    expect(thrownBy(() => readNow(sourceOf(preset), requestWith(broken))).code).toBe('ERR_CLIENT_CERT_HEADER_MALFORMED')
  })
})

/** Numbers below a bound, the same in every run (mulberry32): what fails once fails again. */
function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

function changed(value: string, at: number, character: string, how: string | undefined): string {
  if (how === 'replace') return value.slice(0, at) + character + value.slice(at + 1)
  if (how === 'remove') return value.slice(0, at) + value.slice(at + 1)
  if (how === 'insert') return value.slice(0, at) + character + value.slice(at)
  return value.slice(0, at) + value.slice(at + 1, at + 2) + value[at] + value.slice(at + 2)
}

describe('sources that forward text only', () => {
  test.each(Object.keys(textOnly))('preset %s is refused by name, with the reason', (name) => {
    expect(() => forwardedHeader({ preset: name as never, from })).toThrow(textOnly[name])
  })

  test.each([
    'l5d-client-id',
    'Cf-Cert-Subject-Dn',
    'cf-cert-verified',
    'X-Amzn-Mtls-Clientcert-Subject',
    'X-Forwarded-Tls-Client-Cert-Info',
  ])('%s is refused as a certificate header, whatever the preset', (certificate) => {
    const source = textFields.find(([field]) => field.test(certificate.toLowerCase()))?.[1]
    expect(() => forwardedHeader({ preset: 'nginx', from, headers: { certificate } })).toThrow(
      textOnly[source as string],
    )
  })
})
