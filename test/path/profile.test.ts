import { describe, expect, test } from '@jest/globals'
import { ClientCertConfigError } from '../../src/errors.js'
import { type PathProfile, resolveProfile, strictProfile } from '../../src/path/profile.js'
import { createTestPki } from '../../src/testing.js'
import { noon, present, thrownBy, verdict } from '../support/pki.js'

const resolve = (profile: unknown) => resolveProfile(profile as Partial<PathProfile>)

describe('a profile that cannot be meant is refused, with what may have been', () => {
  test.each<{ name: string; given: unknown; says: RegExp }>([
    { name: 'an unknown name', given: 'strikt', says: /expected 'strict', 'compatible' or an object, got "strikt"/ },
    { name: 'null', given: null, says: /got null/ },
    { name: 'false', given: false, says: /got false/ },
    {
      name: 'a misspelt field',
      given: { minimumRsaBit: 1024 },
      says: /unknown option "minimumRsaBit"\. Did you mean "minimumRsaBits"\?/,
    },
    { name: 'another case', given: { allowcaasclient: true }, says: /Did you mean "allowCaAsClient"\?/ },
    {
      name: 'a field of another library',
      given: { depth: 3 },
      says: /unknown option "depth"\. Known: extendedKeyUsage/,
    },
    {
      name: '__proto__ from JSON',
      given: JSON.parse('{"__proto__":{"minimumRsaBits":512}}'),
      says: /unknown option "__proto__"/,
    },
    {
      name: 'a number as text',
      given: { minimumRsaBits: '2048' },
      says: /profile\.minimumRsaBits: expected a number, got "2048"/,
    },
    { name: 'a negative number', given: { minimumRsaBits: -1 }, says: /minimumRsaBits: expected a number, got -1/ },
    { name: 'NaN', given: { maxSignatures: Number.NaN }, says: /maxSignatures: expected a number/ },
    { name: 'Infinity', given: { maxBuildSteps: Number.POSITIVE_INFINITY }, says: /maxBuildSteps: expected a number/ },
    {
      name: 'half a certificate',
      given: { maxIntermediates: 1.5 },
      says: /maxIntermediates: expected a number, got 1\.5/,
    },
    { name: 'a truthy word', given: { allowVersion1: 'yes' }, says: /allowVersion1: expected a boolean, got "yes"/ },
    {
      name: 'null for a boolean',
      given: { requireExtendedKeyUsage: null },
      says: /requireExtendedKeyUsage: expected a boolean, got null/,
    },
    { name: 'no algorithm', given: { signatureAlgorithms: [] }, says: /a list of one or more strings, got \[\]/ },
    {
      name: 'an algorithm as text',
      given: { signatureAlgorithms: 'ecdsa-with-SHA256' },
      says: /a list of one or more strings/,
    },
    {
      name: 'a misspelt algorithm',
      given: { signatureAlgorithms: ['ecdsa-with-SHA257'] },
      says: /unknown "ecdsa-with-SHA257"\. Did you mean "ecdsa-with-SHA256"\?/,
    },
    {
      name: 'an algorithm nobody here can verify',
      given: { signatureAlgorithms: ['1.2.3.4'] },
      says: /unknown "1\.2\.3\.4"/,
    },
    { name: 'a misspelt curve', given: { curves: ['P-265'] }, says: /unknown "P-265"\. Did you mean "P-256"\?/ },
    {
      name: 'a curve of another name',
      given: { curves: ['secp256k1'] },
      says: /unknown "secp256k1"\. Known: P-256, P-384, P-521/,
    },
    {
      name: 'a purpose by name',
      given: { extendedKeyUsage: 'clientAuth' },
      says: /"clientAuth" is neither an object identifier nor 'any'/,
    },
    { name: 'an empty purpose', given: { extendedKeyUsage: '' }, says: /"" is neither/ },
  ])('$name', ({ given, says }) => {
    expect(() => resolve(given)).toThrow(ClientCertConfigError)
    expect(thrownBy(() => resolve(given))).toMatch(says)
  })

  test('every field is checked, whatever it is given', () => {
    for (const name of Object.keys(strictProfile)) {
      for (const value of [null, {}, () => 1, Symbol('x'), 1n].slice(0, 3))
        expect(() => resolve({ [name]: value })).toThrow(ClientCertConfigError)
    }
  })
})

describe('what a profile comes to', () => {
  test('undefined means the default, of a field and of the whole', () => {
    expect(resolve({ minimumRsaBits: undefined })).toEqual(resolve('strict'))
    expect(resolve(undefined)).toEqual(resolve('strict'))
    expect(resolve({})).toEqual(resolve('strict'))
  })

  test('inherited fields do not count', () => {
    expect(resolve(Object.create({ minimumRsaBits: 512 })).minimumRsaBits).toBe(2048)
  })

  test('it is frozen, and does not follow the object or lists it was made from', () => {
    const curves = ['P-256']
    const profile = resolve({ curves })
    curves.push('P-384')
    expect(profile.curves.size).toBe(1)
    expect(() => Object.assign(profile, { minimumRsaBits: 1 })).toThrow(TypeError)
    expect(() => Object.assign(strictProfile, { minimumRsaBits: 1 })).toThrow(TypeError)
    expect(() => (strictProfile.curves as string[]).push('x')).toThrow(TypeError)
  })

  test('algorithms are known by name in any case, and by identifier', () => {
    expect([
      ...resolve({ signatureAlgorithms: ['ECDSA-WITH-sha256', '1.2.840.10045.4.3.2'] }).signatureAlgorithms,
    ]).toEqual(['1.2.840.10045.4.3.2'])
  })

  test('compatible differs from strict in two fields, both of which admit more', () => {
    const [strict, compatible] = [resolve('strict'), resolve('compatible')] as unknown as Record<string, unknown>[]
    const differing = Object.keys(strict as object).filter(
      (name) => JSON.stringify(strict?.[name]) !== JSON.stringify(compatible?.[name]),
    )
    expect(differing.sort()).toEqual(['allowVersion1', 'requireExtendedKeyUsage'])
  })
})

test('compatible admits an absent extendedKeyUsage and version 1; and not a wrong purpose, a CA, or a weak key', async () => {
  const { root } = await createTestPki({ now: noon })
  const options = { trust: root.certificate.pem, profile: 'compatible' as const }
  const outcome = async (given: object) => {
    const { decision } = await present(await root.issue(given), options)
    return decision.outcome === 'accepted' ? 'accepted' : decision.error.code
  }
  expect(await outcome({ extendedKeyUsage: false })).toBe('accepted')
  expect(await outcome({ version: 1 })).toBe('accepted')
  expect(await outcome({ extendedKeyUsage: ['serverAuth'] })).toBe('ERR_CLIENT_CERT_KEY_USAGE')
  expect(await outcome({ basicConstraints: { ca: true } })).toBe('ERR_CLIENT_CERT_CA_AS_CLIENT')
  expect(await outcome({ keyAlgorithm: 'RSA-1024' })).toBe('ERR_CLIENT_CERT_WEAK_KEY')
  expect(await outcome({ hash: 'SHA-1' })).toBe('ERR_CLIENT_CERT_ALGORITHM')
  const strict = { anchors: [root] }
  expect(await verdict(await root.issue({ extendedKeyUsage: false }), strict)).toBe('ERR_CLIENT_CERT_KEY_USAGE @0')
  expect(await verdict(await root.issue({ version: 1 }), strict)).toBe('ERR_CLIENT_CERT_VERSION @0')
  expect(await verdict(await root.issue({ version: 1 }), { ...strict, profile: { allowVersion1: true } })).toBe(
    'accepted',
  )
})
