/** Which verified paths fall short of a standard that is not in force yet, and what such a standard may say. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { CertificationPath } from '../../src/path/certification-path.js'
import { type NextStandard, resolveNextStandard, shortfallsOf } from '../../src/path/next-standard.js'
import { resolveProfile } from '../../src/path/profile.js'
import { createTestPki, type TestPki } from '../../src/testing.js'
import { noon, present, thrownBy } from '../support/pki.js'

let rsa: TestPki
beforeAll(async () => {
  rsa = await createTestPki({ now: noon, keyAlgorithm: 'RSA-2048' })
})

const pathOf = async (client: Parameters<typeof present>[0], trust: string, profile = {}) => {
  const { decision } = await present(client, { trust, profile })
  if (decision.outcome !== 'accepted') throw decision.error
  return decision.path
}

const shortOf = (path: CertificationPath, standard: NextStandard) =>
  shortfallsOf(path, resolveNextStandard(standard, resolveProfile()), noon.getTime()).map(
    ({ code, depth }) => `${code.replace('ERR_CLIENT_CERT_', '')} @${depth}`,
  )

describe('a path of RSA 2048 with SHA-256', () => {
  let path: CertificationPath
  beforeAll(async () => {
    path = await pathOf(await rsa.issue(), rsa.trust)
  })

  test.each<[NextStandard, string[]]>([
    [{ minimumRsaBits: 2048 }, []],
    [{ minimumRsaBits: 3072 }, ['WEAK_KEY @0', 'WEAK_KEY @1', 'WEAK_KEY @2']],
    [{ signatureAlgorithms: ['sha256WithRSAEncryption'] }, []],
    // How an anchor was signed says nothing: its signature is not verified.
    [{ signatureAlgorithms: ['ecdsa-with-SHA256'] }, ['ALGORITHM @0', 'ALGORITHM @1']],
    [{ extendedKeyUsage: '1.3.6.1.5.5.7.3.2' }, []],
    [{ extendedKeyUsage: '1.3.6.1.5.5.7.3.17' }, ['KEY_USAGE @0']],
    [{ requireKeyIdentifiers: true }, []],
    [{ initialPolicySet: ['1.2.3'] }, []],
    [{ initialPolicySet: ['1.2.3'], requireExplicitPolicy: true }, ['POLICY @1']],
  ])('and the standard %j', (standard, expected) => {
    expect(shortOf(path, standard)).toEqual(expected)
  })
})

test('an end entity alone that falls short is alone in the list', async () => {
  const client = await rsa.issue({ keyAlgorithm: 'P-256', extendedKeyUsage: false })
  const path = await pathOf(client, rsa.trust, { requireExtendedKeyUsage: false })
  expect(shortOf(path, { requireExtendedKeyUsage: true, curves: ['P-384'] })).toEqual(['WEAK_KEY @0', 'KEY_USAGE @0'])
  expect(shortOf(path, { curves: ['P-256', 'P-384'], requireExtendedKeyUsage: false })).toEqual([])
})

test('a pinned certificate is judged by its key alone', async () => {
  const client = await rsa.issue({ extendedKeyUsage: false })
  const path = await pathOf(client, { pinned: client.certificate.pem } as never)
  expect(shortOf(path, { requireKeyIdentifiers: true, signatureAlgorithms: ['id-Ed25519'] })).toEqual([])
  expect(shortOf(path, { minimumRsaBits: 3072 })).toEqual(['WEAK_KEY @0'])
})

test('an anchor that another CA signed is asked which key that was, one that signed itself is not', async () => {
  const omit = ['2.5.29.35']
  const other = await createTestPki({ now: noon })
  const crossed = await other.root.issueAuthority({ subject: 'CN=Crossed', omit })
  const path = await pathOf(await crossed.issue(), crossed.certificate.pem)
  expect(shortOf(path, { requireKeyIdentifiers: true })).toEqual(['EXTENSION @1'])
  const own = await pathOf(await other.root.issue(), other.root.certificate.pem)
  expect(shortOf(own, { requireKeyIdentifiers: true })).toEqual([])
})

test('fields that are not named are those of the profile in force', async () => {
  const client = await rsa.issue({ extendedKeyUsage: false })
  const compatible = resolveProfile('compatible')
  const path = await pathOf(client, rsa.trust, { requireExtendedKeyUsage: false })
  const standard = resolveNextStandard({ minimumRsaBits: 2048 }, compatible)
  expect(shortfallsOf(path, standard, noon.getTime())).toEqual([])
  expect(standard.allowVersion1).toBe(true)
})

test.each<[unknown, string]>([
  [{ minimumRsaBit: 3072 }, 'nextStandard: unknown option "minimumRsaBit". Did you mean "minimumRsaBits"?'],
  [{ minimumRsaBits: '3072' }, 'nextStandard.minimumRsaBits: expected a number, got "3072"'],
  [{ curves: ['P256'] }, 'nextStandard.curves: unknown "P256". Did you mean "P-256"?'],
  [{ initialPolicySet: ['any'] }, 'nextStandard.initialPolicySet: "any" is no object identifier'],
  [
    { extendedKeyUsage: 'client' },
    'nextStandard.extendedKeyUsage: "client" is neither an object identifier nor \'any\'',
  ],
  [{ curves: undefined }, 'nextStandard: curves is undefined — leave the option out, or give it a value'],
  [
    { maxSignatures: 4 },
    'nextStandard: maxSignatures bounds the cost of a validation, and is no standard of certificates',
  ],
  [{}, 'nextStandard: asks nothing — nextStandard: { minimumRsaBits: 3072 }, or leave it out'],
  ['strict', 'nextStandard: expected fields of a profile — nextStandard: { minimumRsaBits: 3072 }'],
])('%j is refused', (standard, message) => {
  expect(thrownBy(() => resolveNextStandard(standard as never, resolveProfile()))).toBe(
    `ClientCertConfigError: ${message}`,
  )
})
