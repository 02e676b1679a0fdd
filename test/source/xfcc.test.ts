import { hash } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { limits } from '../../src/limits.js'
import { DecodingError } from '../../src/source/decoding.js'
import { xfcc } from '../../src/source/xfcc.js'
import { createTestPki, type TestPki } from '../../src/testing.js'
import { pemOf, percentEncode, xfccElement } from '../support/products.js'

let pki: TestPki
let alice: Uint8Array
let gateway: Uint8Array
let mallory: Uint8Array
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  const issue = async (cn: string, uri?: string) =>
    (await pki.issue({ subject: `CN=${cn}`, ...(uri === undefined ? {} : { names: { uri: [uri] } }) })).certificate.der
  alice = await issue('alice')
  gateway = await issue('gateway')
  // Names of a certificate that would write an element of its own behind its own.
  mallory = await issue('mallory', 'spiffe://acme.test/x,By=a;Hash=b')
})

const hex = (list: readonly Uint8Array[] | undefined) => list?.map((der) => Buffer.from(der).toString('hex'))
const sha256 = (der: Uint8Array) => hash('sha256', der, 'hex')
const pem = (...ders: Uint8Array[]) => percentEncode(ders.map(pemOf).join(''))
const minimal = (der: Uint8Array) => `Hash=${sha256(der)};Cert="${pem(der)}"`
const read = (value: string, trustedHops = 0) => hex(xfcc(trustedHops).certificate(value))
const refusal = (value: string, trustedHops = 0) => {
  try {
    xfcc(trustedHops).certificate(value)
  } catch (error) {
    if (error instanceof DecodingError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('H-12: what is read', () => {
  const accepted: [name: string, value: () => string][] = [
    ['as Envoy writes it', () => xfccElement(alice, [])],
    ['Hash and Cert alone', () => minimal(alice)],
    ['Chain alone', () => `Hash=${sha256(alice)};Chain="${pem(alice)}"`],
    ['a trailing semicolon, as Azure Container Apps writes it', () => `${minimal(alice)};`],
    ['keys in any case', () => minimal(alice).replace('Hash', 'HASH').replace('Cert', 'cert')],
    ['keys nobody knows', () => `Foo=bar;${minimal(alice)};Bar="b;a,r="`],
    ['By and URI several times', () => `By=a;By=b;${minimal(alice)};URI=c;URI=;DNS=d;DNS=e`],
    ['an empty Subject', () => `${minimal(alice)};Subject=""`],
    [
      'a semicolon, a comma and a key inside a quoted Subject',
      () => `Subject="CN=x;Cert=y,By=z;Hash=0";${minimal(alice)}`,
    ],
    ['an escaped quote inside a Subject', () => `Subject="CN=\\"x\\";Hash=0";${minimal(alice)}`],
    ['a backslash that escapes nothing', () => `Subject="CN=Foo\\, Inc.";${minimal(alice)}`],
    ['a Subject that ends in an escaped backslash', () => `${minimal(alice)};Subject="CN=x,O=a\\\\";URI=b`],
    ['a Subject of nothing but escapes', () => `${minimal(alice)};Subject="CN=\\\\\\"\\\\";Issuer="CN=\\\\"`],
    ['Cert without quotes, which holds nothing that would need them', () => minimal(alice).replaceAll('"', '')],
  ]
  test.each(accepted)('%s', (_, value) => {
    expect(read(value())).toEqual(hex([alice]))
  })

  test('Chain has the end entity first, and the others behind it', () => {
    const intermediate = pki.intermediate.certificate.der
    expect(read(xfccElement(alice, [intermediate]))).toEqual(hex([alice, intermediate]))
  })
})

describe('H-12: which element', () => {
  test('the last one by default: what a client sent itself is at the left', () => {
    expect(read(`${minimal(gateway)},${minimal(alice)}`)).toEqual(hex([alice]))
    expect(read(`${minimal(gateway)}, ${minimal(alice)}`)).toEqual(hex([alice]))
  })

  test('counted from the right by trustedHops', () => {
    const value = `${minimal(gateway)},${minimal(alice)},${minimal(gateway)}`
    expect(read(value, 1)).toEqual(hex([alice]))
    expect(read(value, 0)).toEqual(hex([gateway]))
    expect(read(value, 2)).toEqual(hex([gateway]))
  })

  test('none where there are fewer elements than hops', () => {
    expect(refusal(minimal(alice), 1).message).toBe('has 1 elements, trustedHops: 1 needs 2')
  })

  test('row 37: an element without Cert= is named, with the setting and the other hop', () => {
    const { message, fix } = refusal(
      `${minimal(alice)},By=spiffe://acme.test/ingressgateway;Hash=${sha256(gateway)};URI=a`,
    )
    expect(message).toBe('XFCC element 2 of 2 (By=spiffe://acme.test/ingressgateway) has no Cert=')
    expect(fix).toBe('set_current_client_cert_details: { cert: true }; for the outer client trustedHops: 1')
  })

  test('an element a certificate’s own name could have written is refused, whatever it holds', () => {
    // What SANITIZE_SET makes of mallory's certificate, had its URI held a whole element.
    const written = `Hash=${sha256(mallory)};Cert="${pem(mallory)}";URI=spiffe://acme.test/x,${minimal(alice)}`
    expect(refusal(written).message).toContain('which may have written what follows it')
    expect(read(written.slice(0, written.indexOf(',')))).toEqual(hex([mallory]))
    // An honest certificate in the same place has written nothing.
    expect(read(`${minimal(gateway)},${minimal(alice)}`)).toEqual(hex([alice]))
  })

  test('an element to the left without a certificate cannot be judged, and refuses', () => {
    expect(refusal(`By=a;Hash=${sha256(mallory)};URI=x,${minimal(alice)}`).message).toContain(
      'element 1 of 2 (By=a) has no Cert=',
    )
  })
})

describe('H-12: what is refused', () => {
  const refused: [name: string, value: () => string][] = [
    ['a quote that is never closed', () => `${minimal(alice)};Subject="CN=x`],
    ['a Subject that ends in a backslash, and so never ends', () => `Subject="CN=x\\";${minimal(alice)}`],
    ['a Subject that ends in three, and so never ends', () => `Subject="CN=x\\\\\\";${minimal(alice)}`],
    ['something behind a quote that two backslashes do not escape', () => `${minimal(alice)};Subject="CN=\\\\"x"`],
    ['something behind a closing quote', () => `${minimal(alice)}x`],
    ['a quote inside a value without quotes', () => `URI=a"b;${minimal(alice)}`],
    ['a quote that opens late', () => `URI=a"b;c";${minimal(alice)}`],
    ['no key', () => `=x;${minimal(alice)}`],
    ['no equals sign', () => `By;${minimal(alice)}`],
    ['a space before a key', () => `${minimal(alice)}; By=x`],
    ['two semicolons', () => `${minimal(alice)};;By=x`],
    ['two commas', () => `${minimal(alice)},,${minimal(alice)}`],
    ['a comma at the end', () => `${minimal(alice)},`],
    ['a comma at the beginning', () => `,${minimal(alice)}`],
    ['Hash twice', () => `Hash=${sha256(alice)};${minimal(alice)}`],
    ['Cert twice, the second as it should be', () => `Cert="${pem(gateway)}";${minimal(alice)}`],
    ['Chain twice', () => `Chain="${pem(alice)}";Chain="${pem(alice)}";${minimal(alice)}`],
    ['Subject twice', () => `Subject="CN=a";Subject="CN=b";${minimal(alice)}`],
    ['Cert twice in different case', () => `CERT="${pem(alice)}";${minimal(alice)}`],
    ['a Hash of another certificate', () => minimal(alice).replace(sha256(alice), sha256(gateway))],
    [
      'a Hash in upper case, which Envoy does not write',
      () => minimal(alice).replace(sha256(alice), sha256(alice).toUpperCase()),
    ],
    ['no Hash', () => `Cert="${pem(alice)}"`],
    ['a Chain of somebody else', () => `${minimal(alice)};Chain="${pem(gateway)}"`],
    ['two certificates in Cert', () => `Hash=${sha256(alice)};Cert="${pem(alice, gateway)}"`],
    ['Cert encoded twice', () => minimal(alice).replaceAll('%', '%25')],
    ['Cert with a line break as it is', () => minimal(alice).replace('%0A', '\n')],
    ['Cert with plus as it is', () => minimal(alice).replaceAll('%2B', '+').replaceAll('%2F', '/')],
    ['Cert in lower-case escapes', () => minimal(alice).replace('%0A', '%0a')],
    ['an error in an element that is not chosen', () => `By="x,${minimal(alice)}`],
    ['bare base64', () => Buffer.from(alice).toString('base64')],
  ]
  test.each(refused)('%s', (_, value) => {
    expect(refusal(value())).toBeInstanceOf(DecodingError)
  })

  test('a client cannot open a quote that swallows the element a proxy adds', () => {
    for (const own of ['By="', 'By="x;', `${minimal(alice)};Subject="`, 'Subject="\\', 'Subject="\\\\']) {
      expect(refusal(`${own},${minimal(gateway)}`)).toBeInstanceOf(DecodingError)
    }
  })

  test(`${limits.forwardedElements} elements are read, one more is refused`, () => {
    const many = (count: number) => new Array(count).fill(minimal(alice)).join(',')
    expect(read(many(limits.forwardedElements))).toEqual(hex([alice]))
    expect(refusal(many(limits.forwardedElements + 1)).message).toBe('has more than 32 elements')
  })

  test('a name that tears its element is refused, with the setting that leaves names out', () => {
    for (const name of ['URI=https://acme.test/?a,b', 'DNS=a;b.acme.test', 'URI=urn:x,y']) {
      const { message, fix } = refusal(`${minimal(alice)};${name}`)
      expect([name, message]).toEqual([name, expect.stringContaining('wants Key=Value pairs')])
      expect(fix).toContain('take uri and dns out of set_current_client_cert_details')
    }
    // A semicolon with a pair behind it says nothing that counts.
    expect(read(`${minimal(alice)};URI=https://acme.test/;a=b`)).toEqual(hex([alice]))
  })

  test('format: JSON is refused, and told what it is', () => {
    for (const value of [`[{"Hash":"${sha256(alice)}"}]`, `{"Hash":"${sha256(alice)}","Cert":"x"}`]) {
      expect(refusal(value).message).toContain(
        'is JSON: is this Envoy? set_current_client_cert_details: { format: TEXT }',
      )
    }
  })

  test('row 35: what the value looks like is said, and never acted on', () => {
    const { message } = refusal(Buffer.from(alice).toString('base64'))
    expect(message).toContain(
      'wants Key=Value pairs; the value starts "MII": bare base64 — is this Cloud Foundry? preset: \'cloud-foundry\'',
    )
  })
})
