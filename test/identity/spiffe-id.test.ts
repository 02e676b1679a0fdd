import { beforeAll, describe, expect, test } from '@jest/globals'
import { SpiffeId } from '../../src/identity/spiffe-id.js'
import { createTestPki, type TestPki } from '../../src/testing.js'
import { identityOf, noon, thrownBy } from '../support/pki.js'

describe('the one spelling of a SPIFFE ID', () => {
  test.each<[text: string, trustDomain: string, path: string]>([
    ['spiffe://acme.test/billing/api', 'acme.test', '/billing/api'],
    ['spiffe://acme.test', 'acme.test', ''],
    ['spiffe://a_b-c.1/A.b_C-9', 'a_b-c.1', '/A.b_C-9'],
    ['spiffe://acme.test/...', 'acme.test', '/...'],
    [`spiffe://${'a'.repeat(255)}/x`, 'a'.repeat(255), '/x'],
  ])('%s', (text, trustDomain, path) => {
    const id = SpiffeId.parse(text)
    expect([id.trustDomain, id.path, `${id}`, JSON.stringify(id)]).toEqual([
      trustDomain,
      path,
      text,
      JSON.stringify(text),
    ])
    expect(Object.isFrozen(id)).toBe(true)
  })

  test.each([
    ['nothing', ''],
    ['no trust domain', 'spiffe://'],
    ['an empty trust domain', 'spiffe:///path'],
    ['another scheme', 'https://acme.test/x'],
    ['the scheme in capitals', 'SPIFFE://acme.test/x'],
    ['one slash', 'spiffe:/acme.test/x'],
    ['a trust domain in capitals', 'spiffe://Acme.test/x'],
    ['a port', 'spiffe://acme.test:443/x'],
    ['a user', 'spiffe://root@acme.test/x'],
    ['a query', 'spiffe://acme.test/x?y'],
    ['a fragment', 'spiffe://acme.test/x#y'],
    ['a slash at the end', 'spiffe://acme.test/x/'],
    ['a slash alone', 'spiffe://acme.test/'],
    ['an empty segment', 'spiffe://acme.test/a//b'],
    ['a dot segment', 'spiffe://acme.test/a/./b'],
    ['a double dot segment', 'spiffe://acme.test/a/../b'],
    ['a dot segment at the end', 'spiffe://acme.test/a/..'],
    ['percent-encoding', 'spiffe://acme.test/a%2fb'],
    ['percent-encoded dots', 'spiffe://acme.test/%2e%2e'],
    ['a letter beyond ASCII', 'spiffe://\u0430cme.test/x'],
    ['a letter beyond ASCII in the path', 'spiffe://acme.test/\u0430'],
    ['white space', ' spiffe://acme.test/x'],
    ['a line break at the end', 'spiffe://acme.test/x\n'],
    ['NUL', 'spiffe://acme.test/x\0'],
    ['a trust domain that is too long', `spiffe://${'a'.repeat(256)}/x`],
    ['a whole that is too long', `spiffe://acme.test/${'a'.repeat(2048)}`],
  ])('I-08: %s is none', (_, text) => {
    expect(SpiffeId.from(text)).toBeUndefined()
    expect(thrownBy(() => SpiffeId.parse(text))).toMatch(/^SyntaxError: .* is not a SPIFFE ID/)
  })

  test('equality is of both parts', () => {
    const id = SpiffeId.parse('spiffe://a.test/b')
    expect(id.equals(SpiffeId.parse('spiffe://a.test/b'))).toBe(true)
    for (const other of ['spiffe://a.test/B', 'spiffe://a.test/b/c', 'spiffe://b.test/b', 'spiffe://a.test']) {
      expect(id.equals(SpiffeId.parse(other))).toBe(false)
    }
  })

  test('a long text is refused in linear time', () => {
    const text = `spiffe://a.test${'/a'.repeat(500_000)}!`
    expect(SpiffeId.from(text)).toBeUndefined()
  })
})

describe('the SPIFFE ID of an identity (X509-SVID §2)', () => {
  let pki: TestPki
  beforeAll(async () => {
    pki = await createTestPki({ now: noon })
  })
  const of = async (names: { uri?: string[]; dns?: string[] }) =>
    (await identityOf(await pki.issue({ names }), { trust: pki.trust })).spiffeId

  test('is its only URI', async () => {
    expect(`${await of({ uri: ['spiffe://acme.test/api'] })}`).toBe('spiffe://acme.test/api')
    expect(`${await of({ uri: ['spiffe://acme.test/api'], dns: ['api.acme.test'] })}`).toBe('spiffe://acme.test/api')
  })

  test.each<[string, string[]]>([
    ['no URI', []],
    ['two of them', ['spiffe://acme.test/api', 'spiffe://acme.test/admin']],
    ['another URI beside it', ['spiffe://acme.test/api', 'https://acme.test/']],
    ['another URI before it', ['urn:x', 'spiffe://acme.test/api']],
    ['the same twice', ['spiffe://acme.test/api', 'spiffe://acme.test/api']],
    ['a trust domain without a path', ['spiffe://acme.test']],
    ['a malformed one', ['spiffe://acme.test/a%2fb']],
  ])('I-08: %s is none', async (_, uri) => {
    expect(await of({ uri })).toBeUndefined()
  })
})
