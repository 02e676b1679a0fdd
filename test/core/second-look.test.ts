import { inspect } from 'node:util'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { createAuthenticator } from '../../src/core/authenticator.js'
import type { AuthenticatorOptions } from '../../src/core/options.js'
import { ClientCertConfigError } from '../../src/errors.js'
import { DistinguishedName } from '../../src/index.js'
import type { RevocationChecker, RevocationStatus } from '../../src/revocation/checker.js'
import * as rules from '../../src/rules.js'
import {
  createSelfSigned,
  createTestAuthority,
  createTestPki,
  type TestCredential,
  type TestPki,
} from '../../src/testing.js'
import type { Trust } from '../../src/trust/trust-option.js'
import { identityOf, noon, present, refusedBy } from '../support/pki.js'

/** What a hostile reading of the decision path found, each as the sentence that holds since. */

let pki: TestPki
let alice: TestCredential

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue({ subject: 'CN=alice,O=Acme', notBefore: noon })
})

function make(options: Partial<AuthenticatorOptions> = {}) {
  const clock = { now: noon.getTime() }
  const auth = createAuthenticator({
    trust: pki.trust,
    revocation: 'none',
    log: false,
    now: () => clock.now,
    ...options,
  })
  const decide = async (credential = alice, sendsChain = true) => {
    const [certificate, ...intermediates] = [credential.certificate, ...credential.chain].map(({ der }) => der)
    const presented = { certificate: certificate as Uint8Array, intermediates: sendsChain ? intermediates : [] }
    return auth.authenticateChain({ ...presented, via: 'tls' })
  }
  const verdict = async (credential?: TestCredential, sendsChain?: boolean) => {
    const decision = await decide(credential, sendsChain)
    return decision.outcome === 'accepted' ? 'accepted' : decision.error.code
  }
  return { auth, clock, decide, verdict }
}

function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

describe('what changes while a request is decided about', () => {
  test('a revocation that is published while resolve() is under way counts', async () => {
    const { opened, open } = gate()
    let revoked = false
    const revocation: RevocationChecker & { generation: number } = {
      name: 'list',
      generation: 0,
      check: (): RevocationStatus => (revoked ? { status: 'revoked', depth: 0 } : { status: 'good' }),
    }
    const { verdict } = make({ revocation, resolve: () => opened.then(() => 'alice') })
    const underWay = verdict()
    revoked = true
    revocation.generation++
    open()
    expect(await underWay).toBe('ERR_CLIENT_CERT_REVOKED')
  })

  test('a certificate that ends while a rule is under way is refused', async () => {
    const { opened, open } = gate()
    const brief = await pki.issue({ notBefore: noon, notAfter: new Date(noon.getTime() + 1_000) })
    const { verdict, clock } = make({ rules: rules.custom('slow', () => opened.then(() => true)) })
    const underWay = verdict(brief)
    clock.now += 60_000
    open()
    expect(await underWay).toBe('ERR_CLIENT_CERT_EXPIRED')
  })

  test('what a checker said ends while a rule is under way: it is asked again', async () => {
    const check = jest.fn(
      async (): Promise<RevocationStatus> =>
        check.mock.calls.length === 1
          ? { status: 'good', validUntil: new Date(clock.now + 10) }
          : { status: 'revoked', depth: 0 },
    )
    const slow = async () => {
      clock.now += 11
      return true
    }
    const { verdict, clock } = make({ revocation: { name: 'own', check }, rules: rules.custom('slow', slow) })
    expect(await verdict()).toBe('ERR_CLIENT_CERT_REVOKED')
  })

  test('an authenticator that is closed meanwhile admits nobody', async () => {
    const { opened, open } = gate()
    const { auth, verdict } = make({ resolve: () => opened.then(() => 'alice') })
    const underWay = verdict()
    await auth.close()
    open()
    expect(await underWay).toBe('ERR_CLIENT_CERT_NOT_READY')
  })

  test('what changes again and again ends in 503, not in a loop', async () => {
    const revocation = { name: 'restless', generation: 0, check: (): RevocationStatus => ({ status: 'good' }) }
    const { verdict } = make({
      revocation,
      rules: rules.custom('busy', () => {
        revocation.generation++
        return true
      }),
    })
    expect(await verdict()).toBe('ERR_CLIENT_CERT_NOT_READY')
  })
})

describe('what an application returns', () => {
  test.each([undefined, null, false, 0, '', Number.NaN])('resolve() that returns %p is nobody', async (principal) => {
    const { verdict } = make({ resolve: () => principal as never })
    expect(await verdict()).toBe('ERR_CLIENT_CERT_PRINCIPAL')
  })

  test('resolve() that returns somebody is somebody', async () => {
    const { decide } = make({ resolve: () => ({ name: 'Alice' }) })
    const decision = await decide()
    expect(decision.outcome === 'accepted' && decision.identity.principal).toEqual({ name: 'Alice' })
  })

  test.each([
    ['a millisecond later', 1],
    ['in the same millisecond, too', 0],
  ])('a checker that says neither validUntil nor generation is asked on every request: %s', async (_, later) => {
    let revoked = false
    const check = (): RevocationStatus => (revoked ? { status: 'revoked', depth: 0 } : { status: 'good' })
    const { verdict, clock } = make({ revocation: { name: 'database', check } })
    expect(await verdict()).toBe('accepted')
    revoked = true
    clock.now += later
    expect(await verdict()).toBe('ERR_CLIENT_CERT_REVOKED')
  })
})

describe('pins', () => {
  test.each(['pinnedkeys', 'pinnedKey', 'Pinned', 'pins', 'pined'])(
    'a set named %s is a misspelling, not a CA',
    (name) => {
      expect(() => make({ trust: { [name]: pki.trust } as Trust })).toThrow(ClientCertConfigError)
      expect(() => make({ trust: { [name]: pki.trust } as Trust })).toThrow(/Did you mean "pinned/)
    },
  )

  test.each(['CN=ALICE', 'CN=\uff21lice', 'CN=ali\u200bce', 'CN=ali\\07ce'])(
    'by key: %s is not the alice that was pinned, though the names are equal',
    async (subject) => {
      const pinned = await createSelfSigned({ subject: 'CN=alice', notBefore: noon })
      const renamed = await createSelfSigned({ subject, key: pinned, notBefore: noon })
      const equal = DistinguishedName.parse(subject).equals(DistinguishedName.parse('CN=alice'))
      expect(equal).toBe(true)
      const trust = { pinnedKeys: pinned.certificate.pem }
      expect((await identityOf(pinned, { trust })).subject.get('CN')).toBe('alice')
      expect((await refusedBy(renamed, { trust })).code).toBe('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
    },
  )
})

test('a subject rule in plain ASCII does not hold for a name with control characters in it', async () => {
  const rule = rules.subject('CN=alice,O=Acme')
  expect((await present(alice, { trust: pki.trust, rules: rule })).decision.outcome).toBe('accepted')
  for (const subject of ['CN=ali\\07ce,O=Acme', 'CN=alice\\7f,O=Acme', 'CN=\\09alice,O=Acme']) {
    const other = await pki.issue({ subject, notBefore: noon })
    expect((await refusedBy(other, { trust: pki.trust, rules: rule })).code).toBe('ERR_CLIENT_CERT_RULE')
  }
})

test('an issuer that others of its name pushed out of memory is found again when it comes again', async () => {
  const { verdict } = make()
  const namesake = async () => {
    const issuer = await pki.root.issueAuthority({ subject: 'CN=Namesake' })
    return issuer.issue({ notBefore: noon })
  }
  const first = await pki.root.issueAuthority({ subject: 'CN=Namesake' })
  expect(await verdict(await first.issue({ notBefore: noon }))).toBe('accepted')
  for (let i = 0; i < 4; i++) expect(await verdict(await namesake())).toBe('accepted')
  expect(await verdict(await first.issue({ notBefore: noon }))).toBe('accepted')
  expect(await verdict(await first.issue({ notBefore: noon }), false)).toBe('accepted')
})

describe('refusals', () => {
  test('a remembered one is an error of its own for every request, with facts nobody can change', async () => {
    const stranger = await createSelfSigned({ subject: 'CN=nobody', notBefore: noon })
    const { decide } = make()
    const [first, second] = [await decide(stranger), await decide(stranger)]
    if (first.outcome === 'accepted' || second.outcome === 'accepted') throw new Error('accepted')
    expect(second.error).not.toBe(first.error)
    expect(second.error).toMatchObject({ code: first.error.code, depth: first.error.depth, help: first.error.help })
    expect(() => Object.assign(first.error.detail, { issuer: 'x' })).toThrow(TypeError)
  })

  test('O-01: what console.error prints of one is the operator’s line, in which nothing of the peer is raw', async () => {
    const hostile = await createSelfSigned({ subject: 'CN=\u200fx\\0a\u061c\u{e0041}', notBefore: noon })
    const { decide } = make()
    const decision = await decide(hostile)
    const printed = decision.outcome === 'accepted' ? '' : inspect(decision.error)
    expect(printed).toMatch(/^ClientCertError ERR_CLIENT_CERT_UNKNOWN_ISSUER \(403\): /)
    expect(printed).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  })

  test('P-15: the hint at a related root costs a stranger with a long name no more among a hundred anchors than under one', async () => {
    const issuer = await createTestAuthority({ subject: `CN=x,O=Acme ${'\ufdfa'.repeat(4_500)}`, now: noon })
    const stranger = await issuer.issue({ notBefore: noon })
    const crowd = await Promise.all(
      Array.from({ length: 100 }, (_, i) => createTestAuthority({ subject: `CN=Root ${i},O=Acme`, now: noon })),
    )
    const cost = async (trust: string) => {
      let best = Number.POSITIVE_INFINITY
      for (let round = 0; round < 5; round++) {
        const { decide } = make({ trust })
        const start = performance.now()
        const decision = await decide(stranger)
        best = Math.min(best, performance.now() - start)
        expect(decision.outcome !== 'accepted' && decision.error.code).toBe('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
      }
      return best
    }
    const pem = crowd.map(({ certificate }) => certificate.pem)
    const one = await cost(pem[0] as string)
    expect((await cost(pem.join(''))) / one).toBeLessThan(10)
  })
})
