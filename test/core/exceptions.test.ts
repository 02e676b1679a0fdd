/** Exceptions with an end: what they overlook, what they never do, and how they stop. */
import { writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { ignorable } from '../../src/core/exceptions.js'
import {
  type AuthenticatorOptions,
  type CertificateException,
  createAuthenticator,
  type Ignorable,
  type RevocationChecker,
} from '../../src/index.js'
import {
  createSelfSigned,
  createTestPki,
  type IssueOptions,
  type TestCredential,
  type TestPki,
} from '../../src/testing.js'
import { day, fromNoon, hour, noon, second, temporaryFolder, thrownBy } from '../support/pki.js'

const folder = temporaryFolder()
let pki: TestPki
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
})

const until = fromNoon(2 * day)
const exception = ({ fingerprint }: { fingerprint: string }, ...ignore: Ignorable[]): CertificateException => ({
  fingerprint,
  ignore,
  until,
  reason: 'renewal is on its way (Ops, 2026-11-20)',
})

function make(exceptions: AuthenticatorOptions['exceptions'], options: Partial<AuthenticatorOptions> = {}) {
  const clock = { now: noon.getTime() }
  const auth = createAuthenticator({
    trust: pki.trust,
    revocation: 'none',
    log: false,
    watch: false,
    now: () => clock.now,
    exceptions: exceptions as never,
    ...options,
  })
  const decide = async ({ certificate, chain }: Pick<TestCredential, 'certificate' | 'chain'>) =>
    auth.authenticateChain({ certificate: certificate.der, intermediates: chain.map(({ der }) => der), via: 'tls' })
  const verdict = async (client: TestCredential) => {
    const decision = await decide(client)
    return decision.outcome === 'accepted' ? 'accepted' : decision.error.code
  }
  return { decide, verdict, clock, auth }
}

const wrong: [word: Ignorable, given: IssueOptions][] = [
  ['expired', { notBefore: fromNoon(-2 * day), notAfter: fromNoon(-day) }],
  ['not-yet-valid', { notBefore: fromNoon(day), notAfter: fromNoon(3 * day) }],
  ['weak-key', { keyAlgorithm: 'RSA-1024' }],
  ['extended-key-usage', { extendedKeyUsage: ['serverAuth'] }],
  ['version', { version: 1 }],
]

describe('what is overlooked', () => {
  test.each(wrong)('%s, of this certificate only, and nothing else of it', async (word, given) => {
    const client = await pki.issue(given)
    const twin = await pki.issue(given)
    const { decide, verdict } = make([exception(client, word)])
    expect(await make([]).verdict(client)).toBe(ignorable[word])
    expect(await decide(client)).toMatchObject({
      outcome: 'accepted',
      exception: {
        fingerprint: client.fingerprint,
        ignored: ignorable[word],
        until,
        reason: exception(client).reason,
        uses: 1,
      },
    })
    expect(await verdict(twin)).toBe(ignorable[word])
    const others = Object.keys(ignorable).filter((other) => other !== word) as Ignorable[]
    expect(await make([exception(client, ...others)]).verdict(client)).toBe(ignorable[word])
  })

  test('two things at once need two words', async () => {
    const client = await pki.issue({
      notBefore: fromNoon(-2 * day),
      notAfter: fromNoon(-day),
      extendedKeyUsage: ['serverAuth'],
    })
    expect(await make([exception(client, 'expired', 'extended-key-usage')]).verdict(client)).toBe('accepted')
    expect(await make([exception(client, 'expired')]).verdict(client)).toBe('ERR_CLIENT_CERT_KEY_USAGE')
    expect(await make([exception(client, 'extended-key-usage')]).verdict(client)).toBe('ERR_CLIENT_CERT_EXPIRED')
  })

  test('a pinned certificate that has ended', async () => {
    const device = await createSelfSigned({ notBefore: fromNoon(-2 * day), notAfter: fromNoon(-day) })
    const trust = { pinned: device.certificate.pem }
    expect(await make([exception(device, 'expired')], { trust }).verdict(device)).toBe('accepted')
    expect(await make([], { trust }).verdict(device)).toBe('ERR_CLIENT_CERT_EXPIRED')
  })

  test('a certificate with nothing wrong uses no exception', async () => {
    const client = await pki.issue()
    expect(await make([exception(client, 'expired')]).decide(client)).not.toHaveProperty('exception')
  })

  test('each decision is counted', async () => {
    const client = await pki.issue(wrong[0]?.[1])
    const { decide } = make([exception(client, 'expired')])
    for (const uses of [1, 2, 3]) expect(await decide(client)).toMatchObject({ exception: { uses } })
  })
})

describe('what is never overlooked', () => {
  test('a revocation', async () => {
    const client = await pki.issue(wrong[0]?.[1])
    const revocation: RevocationChecker = { name: 'all', check: () => ({ status: 'revoked', depth: 0 }) }
    expect(await make([exception(client, 'expired')], { revocation }).verdict(client)).toBe('ERR_CLIENT_CERT_REVOKED')
    expect(thrownBy(() => make([exception(client, 'revoked' as never)]))).toMatch(
      /a revoked certificate is never an exception/,
    )
  })

  test('an issuer that has ended', async () => {
    const intermediate = await pki.root.issueAuthority({ notBefore: fromNoon(-2 * day), notAfter: fromNoon(-hour) })
    const client = await intermediate.issue({ notBefore: fromNoon(-2 * day), notAfter: fromNoon(-hour) })
    expect(await make([exception(client, 'expired')]).verdict(client)).toBe('ERR_CLIENT_CERT_EXPIRED')
  })

  test('a stranger, and a signature that is not the CA’s', async () => {
    const words = Object.keys(ignorable) as Ignorable[]
    const stranger = await (await createTestPki({ now: noon, name: 'Other' })).issue()
    expect(await make([exception(stranger, ...words)]).verdict(stranger)).toBe('ERR_CLIENT_CERT_UNKNOWN_ISSUER')
    const forged = await pki.issue({ signWith: stranger })
    expect(await make([exception(forged, ...words)]).verdict(forged)).toBe('ERR_CLIENT_CERT_SIGNATURE')
  })

  test('the rules', async () => {
    const client = await pki.issue({ ...wrong[0]?.[1], subject: 'CN=alice' })
    const { rules } = await import('../../src/index.js')
    const options = { rules: rules.commonName('bob') }
    expect(await make([exception(client, 'expired')], options).verdict(client)).toBe('ERR_CLIENT_CERT_RULE')
  })
})

describe('the end', () => {
  test('it ends by itself, also for who was accepted before', async () => {
    for (const [word, given] of wrong) {
      const client = await pki.issue({ notAfter: fromNoon(9 * day), ...given })
      const { decide, verdict, clock } = make([exception(client, word)])
      if (word === 'not-yet-valid') continue
      const decision = await decide(client)
      expect(decision.outcome === 'accepted' && decision.validUntil.getTime()).toBeLessThan(until.getTime())
      clock.now = until.getTime() - 1
      expect([word, await verdict(client)]).toEqual([word, 'accepted'])
      clock.now = until.getTime()
      expect([word, await verdict(client)]).toEqual([word, ignorable[word]])
    }
  })

  test('of not-yet-valid it is the beginning of the certificate, which then needs none', async () => {
    const client = await pki.issue({ notBefore: fromNoon(day), notAfter: fromNoon(3 * day) })
    const { decide, clock } = make([exception(client, 'not-yet-valid')])
    expect(await decide(client)).toMatchObject({ exception: { uses: 1 } })
    clock.now = until.getTime()
    expect((await decide(client)).outcome).toBe('accepted')
  })

  test('it is at most 400 days ahead', async () => {
    const client = await pki.issue()
    const at = (instant: Date | string) => () => make([{ ...exception(client, 'expired'), until: instant }])
    expect(at(fromNoon(400 * day))).not.toThrow()
    expect(thrownBy(at(fromNoon(400 * day + second)))).toMatch(/until is more than 400 days ahead/)
    expect(at('2027-03-31T22:00:00Z')).not.toThrow()
    expect(at('2027-03-31T22:00+02:00')).not.toThrow()
    for (const wrongInstant of [
      '2027-03-31',
      '2027-03-31T22:00:00',
      'tomorrow',
      '',
      new Date(Number.NaN),
      1,
      undefined,
      '2027-13-31T22:00:00Z',
    ]) {
      expect(thrownBy(at(wrongInstant as never))).toMatch(/until is not an instant/)
    }
  })

  test('one that is over already is no mistake, and overlooks nothing', async () => {
    const client = await pki.issue(wrong[0]?.[1])
    const over = { ...exception(client, 'expired'), until: fromNoon(-hour) }
    expect(await make([over]).verdict(client)).toBe('ERR_CLIENT_CERT_EXPIRED')
  })
})

describe('a list in a file', () => {
  test('is read again; a broken one changes nothing; what it no longer holds ends at once', async () => {
    jest.useFakeTimers({ now: noon })
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const client = await pki.issue(wrong[0]?.[1])
    const write = (content: unknown) =>
      writeFileSync(folder('e.json'), typeof content === 'string' ? content : JSON.stringify(content))
    write([])
    const { verdict, auth } = make({ file: folder('e.json') })
    expect(await verdict(client)).toBe('ERR_CLIENT_CERT_EXPIRED')
    write([exception(client, 'expired')])
    await jest.advanceTimersByTimeAsync(2_000)
    expect(await verdict(client)).toBe('accepted')
    write('[{')
    await jest.advanceTimersByTimeAsync(2_000)
    expect(await verdict(client)).toBe('accepted')
    expect(String(warn.mock.calls[0]?.[0])).toMatch(
      /exceptions: .*e\.json: .* — it must be a JSON list \(the former exceptions hold\)/,
    )
    write([])
    await jest.advanceTimersByTimeAsync(2_000)
    expect(await verdict(client)).toBe('ERR_CLIENT_CERT_EXPIRED')
    await auth.close()
    expect(jest.getTimerCount()).toBe(0)
    warn.mockRestore()
    jest.useRealTimers()
  })
})

describe('what cannot be meant is refused at construction', () => {
  const good = { fingerprint: 'ab'.repeat(32), ignore: ['expired'], until, reason: 'x' }
  test.each<[string, unknown, RegExp]>([
    ['no list', 'x', /expected a list or \{ file \}, got string/],
    ['null', null, /expected a list or \{ file \}, got null/],
    ['an unknown option', { fil: 'x' }, /Did you mean "file"\?/],
    ['no path', { file: '' }, /file is a path/],
    ['no file', { file: './none.json' }, /cannot read \.\/none\.json/],
    ['no exception', [1], /exceptions\[0\]: expected \{ fingerprint/],
    ['an unknown key', [{ ...good, untill: until }], /exceptions\[0\]: unknown option "untill"/],
    ['no reason', [{ ...good, reason: ' ' }], /reason is missing/],
    [
      'no fingerprint',
      [{ ...good, fingerprint: undefined }],
      /exceptions\[0\]\.fingerprint\(…\): expected a text, got nothing/,
    ],
    ['SHA-1', [{ ...good, fingerprint: 'ab'.repeat(20) }], /is SHA-1/],
    ['nothing to ignore', [{ ...good, ignore: [] }], /ignore is a list of expired/],
    ['an unknown word', [{ ...good, ignore: ['expird'] }], /unknown "expird"\. Did you mean "expired"\?/],
    ['everything', [{ ...good, ignore: ['*'] }], /unknown "\*"/],
    ['one certificate twice', [good, good], /exceptions\[1\]: .* stands in the list twice/],
  ])('%s', (_, given, says) => {
    expect(thrownBy(() => make(given as never))).toMatch(says)
    expect(thrownBy(() => make(given as never))).toMatch(/^ClientCertConfigError/)
  })
})
