/** A path that is remembered in little room, and what it gives back. */
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { isClientCertError } from '../../src/errors.js'
import type { CertificationPath } from '../../src/path/certification-path.js'
import { RememberedPath } from '../../src/path/remembered-path.js'
import { verifiedPaths } from '../../src/path/verified-paths.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { TrustSnapshot } from '../../src/trust/trust-snapshot.js'
import { Certificate } from '../../src/x509/certificate.js'
import { context, pathOf } from '../support/checkers.js'
import { collectGarbage } from '../support/garbage.js'
import { noon } from '../support/pki.js'

let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue({ subject: 'CN=alice,O=Acme', names: { dns: ['alice.acme.test'] } })
})

const pathTo = (client: TestCredential, pinned = false) => pathOf(client, [pki.root.certificate], pinned)

/** What a path says, as text that can be compared. */
function contents({ certificates, anchor, notAfter, policies }: CertificationPath) {
  const { certificate, ...rest } = anchor
  const end = certificates[0] as Certificate
  return {
    octets: [...certificates, certificate].map(({ der }) => Buffer.from(der).toString('hex')),
    read: [
      `${end.subject}`,
      `${end.issuer}`,
      end.notBefore,
      end.extensions.subjectAltName?.map((name) => ({ ...name })),
    ],
    anchor: rest,
    notAfter,
    policies,
  }
}

/** Remembers the path a call makes, so that nobody else has it. */
async function settled(make: () => CertificationPath) {
  const remembered = new RememberedPath(make())
  remembered.settle()
  await collectGarbage()
  return remembered
}

describe('it gives back', () => {
  test('the very path, while the client is being decided about', () => {
    const path = pathTo(alice)
    const remembered = new RememberedPath(path)
    expect(remembered.whole).toBe(path)
    expect(remembered.endEntity).toBe(path.certificates[0])
  })

  test('the very path, as long as somebody has it', async () => {
    const remembered = new RememberedPath(pathTo(alice))
    const held = remembered.whole
    remembered.settle()
    await collectGarbage()
    expect(remembered.whole).toBe(held)
    expect(remembered.endEntity).toBe(held.certificates[0])
  })

  test('a path that equals it in everything, read once for everybody who has it', async () => {
    const read = jest.spyOn(Certificate, 'parseInPlace')
    const remembered = await settled(() => pathTo(alice))
    read.mockClear()
    const whole = remembered.whole
    expect(contents(whole)).toEqual(contents(pathTo(alice)))
    expect([whole, whole.certificates, whole.policies].every(Object.isFrozen)).toBe(true)
    read.mockClear()
    expect([remembered.whole, remembered.endEntity]).toEqual([whole, whole.certificates[0]])
    expect(remembered.whole).toBe(whole)
    expect(read).not.toHaveBeenCalled()
    read.mockRestore()
  })

  test('its issuers and its anchor, the same objects', async () => {
    const path = pathTo(alice)
    const [, ...issuers] = path.certificates
    const { anchor } = path
    const remembered = await settled(() => path)
    expect(issuers.length).toBe(1)
    expect([...remembered.issuers]).toEqual(issuers)
    expect(remembered.whole.certificates[1]).toBe(issuers[0])
    expect(remembered.anchor).toBe(anchor)
    expect(remembered.isPinned).toBe(false)
  })

  test('of a pinned end entity, one that is its own anchor', async () => {
    const remembered = await settled(() => pathTo(alice, true))
    const { certificates, anchor } = remembered.whole
    expect(remembered.isPinned).toBe(true)
    expect(certificates).toEqual([anchor.certificate])
    expect(anchor.certificate).toBe(certificates[0])
    expect(contents(remembered.whole)).toEqual(contents(pathTo(alice, true)))
    expect(remembered.anchor).toBe(anchor)
  })

  test('the fingerprint and the octets of all of it', async () => {
    const remembered = await settled(() => pathTo(alice))
    expect(remembered.fingerprint).toBe(alice.fingerprint)
    expect(remembered.octets.map((der) => Buffer.compare(der, alice.certificate.der))).toEqual([0, expect.any(Number)])
    expect(Buffer.compare(remembered.octets[1] as Uint8Array, pki.intermediate.certificate.der)).toBe(0)
  })
})

test('what was read of the end entity is not kept; before, it is', async () => {
  const certificates: WeakRef<Certificate>[] = []
  const remember = () => {
    const path = pathTo(alice)
    certificates.push(new WeakRef(path.certificates[0] as Certificate))
    return new RememberedPath(path)
  }
  const [whole, light] = [remember(), remember()]
  light.settle()
  await collectGarbage()
  expect(certificates.map((certificate) => certificate.deref() !== undefined)).toEqual([true, false])
  expect(whole.fingerprint).toBe(light.fingerprint)
})

test('octets that were changed are not read again; those that were verified are', async () => {
  let octets = new Uint8Array()
  const remembered = await settled(() => {
    const path = pathTo(alice)
    octets = (path.certificates[0] as Certificate).der as typeof octets
    // As whoever hands a path on does, before anybody gets it.
    void path.certificates[0]?.fingerprint
    return path
  })
  const place = Buffer.from(octets).indexOf('alice.acme.test')
  const original = octets[place] as number
  for (const octet of [0x62, original ^ 0x80]) {
    octets[place] = octet
    for (const read of [() => remembered.whole, () => remembered.endEntity]) {
      expect(thrownBy(read)).toBe('ERR_CLIENT_CERT_INTERNAL')
    }
  }
  octets[place] = original
  expect(remembered.endEntity.fingerprint).toBe(alice.fingerprint)
})

function thrownBy(read: () => unknown): string {
  try {
    read()
  } catch (error) {
    return isClientCertError(error) ? error.code : `${error}`
  }
  return 'nothing'
}

test('clients of one CA have one list of issuers; another CA has another', async () => {
  const intermediate = Certificate.parse(pki.intermediate.certificate.der)
  const renewed = Certificate.parse(pki.intermediate.certificate.der)
  const trust = new TrustSnapshot([{ certificate: Certificate.parse(pki.root.certificate.der) }])
  const issuersOf = ({ certificate }: TestCredential, ...presented: Certificate[]) => {
    const end = Certificate.parse(certificate.der)
    const { value, done } = verifiedPaths(end, trust, { presented }, context.profile, noon.getTime()).next()
    if (done) throw value
    return new RememberedPath(value).issuers
  }
  const first = issuersOf(alice, intermediate)
  expect(first).toEqual([intermediate])
  expect(issuersOf(await pki.issue(), intermediate)).toBe(first)
  const other = issuersOf(await pki.issue(), renewed)
  expect(other).not.toBe(first)
  expect(other[0]).toBe(renewed)
  expect(issuersOf(await pki.root.issue())).toEqual([])
})
