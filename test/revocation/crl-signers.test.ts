import { beforeAll, describe, expect, test } from '@jest/globals'
import { validateCertificationPath } from '../../src/path.js'
import { CrlStatus } from '../../src/revocation/crl-status.js'
import {
  createTestAuthority,
  createTestPki,
  type IssueOptions,
  type TestAuthority,
  type TestCredential,
  type TestCrl,
  type TestPki,
} from '../../src/testing.js'
import { answer, type Encoded, known, type Surroundings, verdict } from '../support/crl-answers.js'
import { day, fromNoon, hour, minute, noon, rebuild, second } from '../support/pki.js'

/** RFC 5280 §6.3.3 (f), (g): who may have signed a CRL. */
let pki: TestPki
let alice: TestCredential
let ofRoot: TestCrl

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue()
  ofRoot = await pki.root.crl()
})

/** A certificate for signing the intermediate's CRLs with another key than it signs certificates with. */
const signerBy = (issuer: TestAuthority, options: IssueOptions = {}) =>
  issuer.issue({
    subject: pki.intermediate.subjectDer,
    extendedKeyUsage: false,
    keyUsage: ['cRLSign'],
    ...options,
  })

const ask = (crls: Surroundings['crls'], via: readonly Encoded[], more: Partial<Surroundings> = {}) =>
  verdict(alice.certificate, {
    anchors: [pki.root.certificate],
    via: [...alice.chain, ...via],
    crls: [ofRoot, ...crls],
    ...more,
  })
const signedBy = (signWith: TestCredential, options = {}) => pki.intermediate.crl({ signWith, ...options })

describe('a CA signs its own', () => {
  const chainUnder = async (options: IssueOptions, rootOptions: IssueOptions = {}) => {
    const root = await createTestAuthority({ now: noon, ...rootOptions })
    const issuing = await root.issueAuthority({ subject: 'CN=Issuing', ...options })
    const leaf = await issuing.issue()
    const crls = [await root.crl(), await issuing.crl()]
    return verdict(leaf.certificate, { anchors: [root.certificate], via: leaf.chain, crls })
  }

  test('with cRLSign; the twin has keyCertSign alone', async () => {
    expect(await chainUnder({ keyUsage: ['keyCertSign', 'cRLSign'] })).toBe('good')
    expect(await chainUnder({ keyUsage: ['keyCertSign'] })).toBe('unknown @0')
    expect(await chainUnder({}, { keyUsage: ['keyCertSign'] })).toBe('unknown @1')
  })

  test('without keyUsage, as openssl req -x509 makes it: the key that signed the certificate may say that it revoked it', async () => {
    expect(await chainUnder({ keyUsage: false })).toBe('good')
    expect(await chainUnder({}, { keyUsage: false })).toBe('good')
  })
})

describe('a CRL issuer with a key of its own, under the same anchor', () => {
  test('is found among what was presented and among what is configured; nowhere, it is unknown', async () => {
    const signer = await signerBy(pki.root)
    const [crl, revoking] = [
      await signedBy(signer),
      await signedBy(signer, { revoked: [{ serialNumber: alice, reason: 'superseded' }] }),
    ]
    expect(await ask([crl], [signer.certificate])).toBe('good')
    expect(await ask([revoking], [signer.certificate])).toBe('revoked @0 superseded')
    expect(await ask([crl], [], { configured: [signer.certificate] })).toBe('good')
    expect(await ask([revoking], [], { configured: [signer.certificate] })).toBe('revoked @0 superseded')
    expect(await ask([crl], [])).toBe('unknown @0')
    expect(await ask([revoking], [])).toBe('unknown @0')
  })

  test('needs the name, the key and cRLSign', async () => {
    const right = await signerBy(pki.root)
    const crl = await signedBy(right)
    expect(await ask([crl], [right.certificate])).toBe('good')
    const otherName = await signerBy(pki.root, { subject: 'CN=Somebody', key: right })
    expect(await ask([crl], [otherName.certificate])).toBe('unknown @0')
    const otherKey = await signerBy(pki.root)
    expect(await ask([crl], [otherKey.certificate])).toBe('unknown @0')
    const otherUse = await signerBy(pki.root, { keyUsage: ['digitalSignature'], key: right })
    expect(await ask([crl], [otherUse.certificate])).toBe('unknown @0')
  })

  test('RFC 10007: it has a keyUsage; any certificate of that name without one would do otherwise', async () => {
    const mundane = await signerBy(pki.root, { keyUsage: false })
    expect(await ask([await signedBy(mundane)], [mundane.certificate])).toBe('unknown @0')
  })

  test('is valid at that time, and good no longer than it', async () => {
    const ended = await signerBy(pki.root, { notBefore: fromNoon(-day), notAfter: fromNoon(-second) })
    expect(await ask([await signedBy(ended)], [ended.certificate])).toBe('unknown @0')
    const early = await signerBy(pki.root, { notBefore: fromNoon(second) })
    expect(await ask([await signedBy(early)], [early.certificate])).toBe('unknown @0')

    const ending = await signerBy(pki.root, { notAfter: fromNoon(minute) })
    const surroundings = {
      anchors: [pki.root.certificate],
      via: [...alice.chain, ending.certificate],
      crls: [ofRoot, await signedBy(ending)],
    }
    const last = new Date(fromNoon(minute).getTime() + 999)
    expect(await answer(alice.certificate, surroundings)).toEqual({ status: 'good', validUntil: last })
    expect(await verdict(alice.certificate, { ...surroundings, at: last })).toBe('good')
    expect(await verdict(alice.certificate, { ...surroundings, at: new Date(last.getTime() + 1) })).toBe('unknown @0')
  })

  test('its path is valid in every other way, too', async () => {
    const right = await signerBy(pki.root)
    const crl = await signedBy(right)
    const forged = await signerBy(pki.root, { key: right, signWith: alice })
    expect(await ask([crl], [forged.certificate])).toBe('unknown @0')
    const odd = { oid: '1.3.6.1.4.1.99999.1', critical: true, value: Uint8Array.of(5, 0) }
    const critical = await signerBy(pki.root, { key: right, extensions: [odd] })
    expect(await ask([crl], [critical.certificate])).toBe('unknown @0')
    const noCa = await pki.root.issueAuthority({ subject: 'CN=No CA', basicConstraints: { ca: false } })
    const below = await signerBy(noCa, { key: right })
    const crls = [crl, await noCa.crl()]
    expect(await ask(crls, [below.certificate, noCa.certificate])).toBe('unknown @0')
  })

  test('may stand below another CA of the anchor, which then has to have spoken', async () => {
    const delegating = await pki.root.issueAuthority({ subject: 'CN=Delegating CA' })
    const signer = await signerBy(delegating)
    const via = [signer.certificate, delegating.certificate]
    const crl = await signedBy(signer)
    expect(await ask([crl, await delegating.crl()], via)).toBe('good')
    expect(await ask([crl], via)).toBe('unknown @0')
    const against = await delegating.crl({ revoked: [{ serialNumber: signer }] })
    expect(await ask([crl, against], via)).toBe('unknown @0')
    const rootAgainst = await pki.root.crl({ revoked: [{ serialNumber: delegating }], thisUpdate: fromNoon(-second) })
    expect(await ask([crl, await delegating.crl(), rootAgainst], via)).toBe('unknown @0')
  })

  test('of two cross-certificates of its CA the one that is not revoked counts', async () => {
    const delegating = await pki.root.issueAuthority({ subject: 'CN=Delegating CA' })
    const again = await pki.root.crossSign(delegating, { serialNumber: '5A5A' })
    const signer = await signerBy(delegating)
    const crls = [await signedBy(signer), await delegating.crl()]
    for (const serialNumber of ['5A5A', delegating.serialNumber]) {
      const rootCrl = await pki.root.crl({ revoked: [{ serialNumber }], thisUpdate: fromNoon(-second) })
      const via = [signer.certificate, delegating.certificate, again]
      expect(await ask([...crls, rootCrl], via)).toBe('good')
      expect(await ask([...crls, rootCrl], via.toReversed())).toBe('good')
    }
    const both = [{ serialNumber: '5A5A' }, { serialNumber: delegating }]
    const rootCrl = await pki.root.crl({ revoked: both, thisUpdate: fromNoon(-second) })
    expect(await ask([...crls, rootCrl], [signer.certificate, delegating.certificate, again])).toBe('unknown @0')
  })

  test('revoked, or of unknown status, it is believed no longer', async () => {
    const signer = await signerBy(pki.root)
    const crl = await signedBy(signer)
    const against = await pki.root.crl({ revoked: [{ serialNumber: signer }], thisUpdate: fromNoon(-second) })
    expect(await ask([crl], [signer.certificate])).toBe('good')
    expect(await ask([crl, against], [signer.certificate])).toBe('unknown @0')
  })

  test('its status ends what it says', async () => {
    const delegating = await pki.root.issueAuthority({ subject: 'CN=Delegating CA' })
    const signer = await signerBy(delegating)
    const status = await answer(alice.certificate, {
      anchors: [pki.root.certificate],
      via: [...alice.chain, signer.certificate, delegating.certificate],
      crls: [ofRoot, await signedBy(signer), await delegating.crl({ nextUpdate: fromNoon(hour) })],
    })
    expect(status).toEqual({ status: 'good', validUntil: fromNoon(hour) })
  })

  test('under another anchor, it is another’s CRL issuer', async () => {
    const other = await createTestAuthority({ now: noon, subject: 'CN=Other Root' })
    const signer = await signerBy(other)
    const [crl, ofOther] = [await signedBy(signer), await other.crl()]
    const anchors = [pki.root.certificate, other.certificate]
    expect(await ask([crl, ofOther], [signer.certificate], { anchors })).toBe('unknown @0')
    expect(await ask([crl, ofOther], [], { anchors, configured: [signer.certificate] })).toBe('unknown @0')
  })

  test('cannot vouch for itself: a CRL that only its own issuer says is not revoked', async () => {
    // Issued by the intermediate, whose only CRLs it signs itself.
    const signer = await signerBy(pki.intermediate)
    const crl = await signedBy(signer)
    expect(await ask([crl], [signer.certificate])).toBe('unknown @0')
    // The twin: the intermediate signs one more with its own key.
    expect(await ask([await pki.intermediate.crl(), crl], [signer.certificate])).toBe('good')
    // Two that vouch for each other are no better.
    const second = await signerBy(pki.intermediate)
    const both = [crl, await signedBy(second)]
    expect(await ask(both, [signer.certificate, second.certificate])).toBe('unknown @0')
  })

  test('no more deeply than limits.crlSigners: a ladder of CRL issuers, each vouched for by the next', async () => {
    const ladder = async (rungs: number) => {
      const via: Encoded[] = []
      const crls: TestCrl[] = []
      let subject: string | Uint8Array = pki.intermediate.subjectDer
      let authority = pki.intermediate
      for (let i = 0; i < rungs; i++) {
        // Below the rung's CA, whose own CRL the next rung signs.
        const above: TestAuthority = await pki.root.issueAuthority({ subject: `CN=Rung ${i}` })
        const signer = await signerBy(above, { subject })
        crls.push(await authority.crl({ signWith: signer }))
        via.push(signer.certificate, above.certificate)
        ;[authority, subject] = [above, above.subjectDer]
      }
      return ask([...crls, await authority.crl()], via)
    }
    expect(await ladder(1)).toBe('good')
    expect(await ladder(4)).toBe('good')
    expect(await ladder(5)).toBe('unknown @0')
  })
})

describe('what the client presents', () => {
  /** The CA signed its CRLs itself; the newest is signed by a separate CRL issuer, and lists alice. */
  const moved = async () => {
    const signer = await signerBy(pki.root)
    const old = await pki.intermediate.crl({ number: 1, thisUpdate: fromNoon(-2 * hour) })
    const revoking = await signedBy(signer, { number: 2, revoked: [{ serialNumber: alice }] })
    return { signer, old, revoking }
  }

  test('does not crowd out the CRL issuer that is configured: certificates of its name, with its key identifier', async () => {
    const { signer, old, revoking } = await moved()
    const configured = [signer.certificate]
    expect(await ask([old, revoking], [], { configured })).toBe('revoked @0')
    const mimics: Encoded[] = []
    for (let i = 0; i < 6; i++) mimics.push(rebuild(await signerBy(pki.root, { key: signer }), alice, {}))
    expect(await ask([old, revoking], mimics, { configured })).toBe('revoked @0')
    // Valid ones, with keys of their own.
    const siblings: Encoded[] = []
    for (let i = 0; i < 6; i++) siblings.push((await signerBy(pki.root)).certificate)
    expect(await ask([old, revoking], siblings, { configured })).toBe('revoked @0')
  })

  test('left out once it was seen, does not bring back the CRL before', async () => {
    const { signer, old, revoking } = await moved()
    const crls = [known(old), known(revoking)]
    const engine = new CrlStatus({ skew: 0, maxAge: Number.POSITIVE_INFINITY, remembersSigners: true })
    expect(await ask(crls, [signer.certificate], { engine })).toBe('revoked @0')
    expect(await ask(crls, [], { engine })).toBe('revoked @0')
    // The twin: never seen, nobody can tell it from a forged one.
    expect(await ask([old, revoking], [])).toBe('good')
  })

  test('and to validateCertificationPath, which knows nothing but its input, every call is the first', async () => {
    const { signer, revoking } = await moved()
    const crls = [ofRoot.der, revoking.der]
    const ask = async (...more: Encoded[]) => {
      const intermediates = [...alice.chain, ...more].map(({ der }) => der)
      const trustAnchors = [pki.root.certificate.der]
      const input = { certificate: alice.certificate.der, intermediates, trustAnchors, at: noon, crls }
      const result = await validateCertificationPath(input)
      return result.valid ? 'valid' : result.error.code
    }
    expect(await ask(signer.certificate)).toBe('ERR_CLIENT_CERT_REVOKED')
    expect(await ask()).toBe('ERR_CLIENT_CERT_REVOCATION_UNKNOWN')
  })

  test('a maze of certificates that exhausts the search for the CRL issuer refuses, and is not judged by the CRL before', async () => {
    const delegating = await pki.root.issueAuthority({ subject: 'CN=Delegating CA' })
    const signer = await signerBy(delegating)
    const old = await pki.intermediate.crl({ number: 1, thisUpdate: fromNoon(-2 * hour) })
    const revoking = await signedBy(signer, { number: 2, revoked: [{ serialNumber: alice }] })
    const crls = [old, revoking, await delegating.crl()]
    const configured = [signer.certificate, delegating.certificate]
    expect(await ask(crls, [], { configured })).toBe('revoked @0')
    // Each costs a signature to see through.
    const maze = (walls: number) => Array.from({ length: walls }, () => rebuild(delegating, alice, {}))
    const profile = { maxSignatures: 6 }
    expect(await ask(crls, maze(4), { configured, profile })).toBe('revoked @0')
    await expect(ask(crls, maze(6), { configured, profile })).rejects.toMatchObject({ code: 'ERR_CLIENT_CERT_BUDGET' })
  })
})
