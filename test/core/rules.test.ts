/** Rules within an authenticator: what is said of them, what changes under way, whose name they take. */
import { writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { makeGuard, recordDecision } from '../../src/core/guard.js'
import { createAuthenticator, type Decision, explain, rules, TrustStore } from '../../src/index.js'
import { createTestAuthority, createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { noon, present, temporaryFolder } from '../support/pki.js'

const folder = temporaryFolder()
let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue({ subject: 'CN=alice', names: { dns: ['a.test'] } })
})

const now = () => noon.getTime()
const chainOf = ({ certificate, chain }: TestCredential) => ({
  certificate: certificate.der,
  intermediates: chain.map(({ der }) => der),
  via: 'tls' as const,
})

describe('every decision carries the outcome of its rules', () => {
  const rule = () => rules.all(rules.dnsName('a.test'), rules.any(rules.commonName('bob'), rules.commonName('alice')))

  test('accepted', async () => {
    const { decision } = await present(alice, { trust: pki.trust, rules: rule() })
    expect(decision.rules).toMatchObject({ holds: true, of: [{ found: '"a.test"' }, { decidedBy: 1 }] })
    expect(explain(decision)).toBe(
      [
        `accepted: "CN=alice" ${alice.fingerprint}, until ${new Date(noon.getTime() + 86_400_999).toISOString()}`,
        '  held: all(dnsName("a.test"), any(commonName("bob"), commonName("alice")))',
        '    held: dnsName("a.test") (found "a.test")',
        '    held: any(commonName("bob"), commonName("alice"))',
        '      did not hold: commonName("bob") (found "alice")',
        '      held: commonName("alice") (found "alice")',
      ].join('\n'),
    )
  })

  test('refused by a rule', async () => {
    const { decision } = await present(alice, { trust: pki.trust, rules: rules.all(rules.dnsName('b.test')) })
    expect(explain(decision).split('\n')).toEqual([
      'refused: ERR_CLIENT_CERT_RULE: dnsName("b.test") did not hold; the certificate has "a.test" — allow it in the rule, or issue another certificate',
      '  did not hold: all(dnsName("b.test"))',
      '    did not hold: dnsName("b.test") (found "a.test")',
    ])
  })

  test('refused before the rules: there is no tree', async () => {
    const stranger = await (await createTestAuthority({ now: noon })).issue()
    const { decision } = await present(stranger, { trust: pki.trust, rules: rule() })
    expect(decision.rules).toBeUndefined()
    expect(explain(decision)).toMatch(/^refused: ERR_CLIENT_CERT_UNKNOWN_ISSUER: [^\n]+$/)
  })

  test('O-03: without names nothing of the certificate but its fingerprint is said', async () => {
    const mallory = await pki.issue({ subject: 'CN=secret\nname', names: { dns: ['secret.test'] } })
    for (const wanted of [rules.dnsName('a.test'), rules.not(rules.dnsName('a.test'))]) {
      const { decision } = await present(mallory, { trust: pki.trust, rules: rules.all(wanted) })
      expect(explain(decision)).toContain('secret')
      expect(explain(decision, { names: false })).not.toContain('secret')
      expect(explain(decision).split('\n')).toHaveLength(decision.outcome === 'accepted' ? 4 : 3)
    }
  })
})

describe('I-02: a rule that names a client, and not whose', () => {
  const warnings = async (make: () => unknown) => {
    const heard: string[] = []
    const spy = jest.spyOn(process, 'emitWarning').mockImplementation((warning, options) => {
      if ((options as { code?: string }).code === 'MTLS_UNBOUND_RULE') heard.push(String(warning))
    })
    await make()
    spy.mockRestore()
    return heard
  }
  const options = async () => {
    const other = await createTestAuthority({ now: noon, subject: 'CN=Other CA' })
    return { trust: { ours: pki.trust, theirs: other.certificate.pem }, revocation: 'none' as const, watch: false }
  }

  test('is warned about where several CAs are trusted, once', async () => {
    const rule = rules.any(rules.commonName('alice'), rules.dnsName('a.test'))
    const { trust, ...rest } = await options()
    const heard = await warnings(() => [
      createAuthenticator({ trust, ...rest, rules: rule }),
      createAuthenticator({ trust, ...rest, rules: rule }),
    ])
    expect(heard).toEqual([
      'rules: commonName("alice") (and 1 more) names a client but not its CA, and 2 CAs are trusted: each of them can issue that name — all(issuedBy(ca), …) or all(anchor("name"), …)',
    ])
  })

  test.each<[string, () => rules.Rule, boolean]>([
    ['bound by an anchor', () => rules.all(rules.anchor('ours'), rules.commonName('a')), false],
    ['bound by its CA', () => rules.all(rules.issuedBy(pki.root.certificate.pem), rules.commonName('a')), false],
    ['bound by a name of a CA only', () => rules.all(rules.issuerName('CN=x'), rules.commonName('a')), true],
    [
      'bound in one branch',
      () => rules.any(rules.all(rules.anchor('ours'), rules.uri('urn:a')), rules.uri('urn:b')),
      true,
    ],
    [
      'bound in every branch',
      () => rules.all(rules.any(rules.anchor('ours'), rules.anchor('theirs')), rules.uri('urn:b')),
      false,
    ],
    [
      'bound in some branches',
      () => rules.all(rules.any(rules.anchor('ours'), rules.uri('urn:a')), rules.uri('urn:b')),
      true,
    ],
    ['bound by not being of a CA', () => rules.all(rules.not(rules.anchor('ours')), rules.uri('urn:b')), true],
    [
      'a fingerprint',
      () => rules.any(rules.fingerprint('ab'.repeat(32)), rules.publicKeyPin(`${'A'.repeat(43)}=`)),
      false,
    ],
    ['a denial', () => rules.deny(rules.commonName('mallory')), false],
    ['a serial number of a CA', () => rules.serialNumber('01', rules.anchor('ours')), false],
    ['a serial number of a name', () => rules.serialNumber('01', rules.issuerName('CN=x')), true],
    ['a SPIFFE ID', () => rules.spiffeId('spiffe://a.test/b'), true],
    ['a subset of the subject', () => rules.subject({ O: 'Acme' }), true],
  ])('%s', async (_, make, isWarned) => {
    const given = await options()
    expect(await warnings(() => createAuthenticator({ ...given, rules: make() }))).toHaveLength(isWarned ? 1 : 0)
  })

  test('is warned about when another CA comes with a reload', async () => {
    const other = await createTestAuthority({ now: noon, subject: 'CN=Other CA' })
    writeFileSync(folder('ca.pem'), pki.trust)
    const store = TrustStore.load(folder('ca.pem'), { watch: false })
    const rule = rules.commonName('a')
    expect(await warnings(() => createAuthenticator({ trust: store, revocation: 'none', rules: rule }))).toEqual([])
    writeFileSync(folder('ca.pem'), pki.trust + other.certificate.pem)
    expect(await warnings(() => store.reload())).toHaveLength(1)
    expect(await warnings(() => store.reload())).toEqual([])
  })

  test('a rule of a guard is looked at too', async () => {
    const guard = makeGuard(rules.uri('urn:a'))
    const auth = createAuthenticator({ ...(await options()), log: false, now })
    const request = {} as never
    const decision = await auth.authenticateChain(chainOf(alice))
    recordDecision(request, {
      authenticator: auth as never,
      decision,
      reportOnly: false,
      passed: true,
      answer: (error) => error,
    })
    expect(await warnings(() => guard(request))).toHaveLength(1)
    expect(await warnings(() => guard(request))).toEqual([])
  })

  test('with one CA nothing is said', async () => {
    const one = { trust: [pki.trust, pki.trust], revocation: 'none' as const }
    expect(await warnings(() => createAuthenticator({ ...one, rules: rules.commonName('a') }))).toEqual([])
  })
})

test('a list that changes counts from the next request on, for those who were accepted before too', async () => {
  writeFileSync(folder('list.pem'), alice.certificate.pem)
  const list = rules.listed({ file: folder('list.pem'), watch: false })
  let resolved = 0
  const auth = createAuthenticator({
    trust: pki.trust,
    revocation: 'none',
    log: false,
    now,
    rules: rules.any(list),
    resolve: () => ({ turn: ++resolved }),
  })
  const ask = async (): Promise<Decision> => auth.authenticateChain(chainOf(alice))
  expect([(await ask()).outcome, (await ask()).outcome, resolved]).toEqual(['accepted', 'accepted', 1])
  writeFileSync(folder('list.pem'), (await pki.issue({ subject: 'CN=bob' })).certificate.pem)
  await list.reload()
  expect((await ask()).outcome).toBe('refused')
  writeFileSync(folder('list.pem'), alice.certificate.pem)
  await list.reload()
  expect([(await ask()).outcome, resolved]).toEqual(['accepted', 3])
  await auth.close()
})

test('ready() waits for lists, and rejects where one cannot be loaded', async () => {
  const make = (load: () => Promise<string[]>) =>
    createAuthenticator({ trust: pki.trust, revocation: 'none', log: false, now, rules: rules.listed({ load }) })
  const good = make(async () => [alice.certificate.pem])
  await good.ready()
  expect((await good.authenticateChain(chainOf(alice))).outcome).toBe('accepted')
  const bad = make(async () => Promise.reject(new Error('database')))
  await expect(bad.ready()).rejects.toThrow('database')
  expect((await bad.authenticateChain(chainOf(alice))).outcome).toBe('refused')
})
