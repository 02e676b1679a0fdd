/**
 * An application whose Object.prototype got members from a client's JSON: a client that was refused before is refused after, and nobody is taken for
 * another. Every name of a member that may be missing is tried.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { afterEach, beforeAll, expect, jest, test } from '@jest/globals'
import { type Authenticator, createAuthenticator, denyList, type PresentedChain, rules } from '../../src/index.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'

const sources = new URL('../../src/', import.meta.url)

/** Members that an object may be without: optional ones, and those that are asked for with `in`. */
function namesThatMayBeMissing(): readonly string[] {
  const names = new Set<string>()
  for (const file of readdirSync(sources, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts') || file.startsWith('testing')) continue
    const code = readFileSync(new URL(file, sources), 'utf8')
    for (const [name] of code.matchAll(/[a-z]\w*(?=\?(?::|\())|(?<=')\w+(?=' in )/gi)) names.add(name)
  }
  return [...names].sort()
}

let pki: TestPki
const chains = new Map<string, PresentedChain>()
const chainOf = ({ certificate, chain }: TestCredential): PresentedChain => ({
  certificate: certificate.der,
  intermediates: chain.map(({ der }) => der),
  via: 'tls',
})

let revoked: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  const stranger = await createTestPki({ name: 'Other' })
  revoked = await pki.issue({ subject: 'CN=revoked' })
  const leaf = await pki.intermediate.issueAuthority({ subject: 'CN=no CA', basicConstraints: false })
  const last = await pki.intermediate.issueAuthority({
    subject: 'CN=last',
    basicConstraints: { ca: true, pathLength: 0 },
  })
  const below = await last.issueAuthority({ subject: 'CN=below' })
  const all: [name: string, credential: TestCredential][] = [
    ['alice', await pki.issue({ subject: 'CN=alice' })],
    ['a stranger', await stranger.issue()],
    ['another name', await pki.issue({ subject: 'CN=bob' })],
    ['expired', await pki.issue({ subject: 'CN=alice', notAfter: new Date(Date.now() - 5_000) })],
    ['a server', await pki.issue({ subject: 'CN=alice', extendedKeyUsage: ['serverAuth'] })],
    ['forged', await pki.issue({ subject: 'CN=alice', signWith: revoked })],
    ['revoked', revoked],
    ['issued by no CA', await leaf.issue({ subject: 'CN=alice' })],
    ['below a pathLenConstraint', await below.issue({ subject: 'CN=alice' })],
  ]
  for (const [name, credential] of all) chains.set(name, chainOf(credential))
})

const open: Authenticator[] = []
afterEach(() => {
  for (const auth of open.splice(0)) void auth.close()
  jest.restoreAllMocks()
})

function make(): Authenticator {
  const auth = createAuthenticator({
    trust: pki.trust,
    revocation: denyList({ entries: [revoked.fingerprint] }),
    rules: rules.any(rules.commonName('alice'), rules.commonName('revoked')),
    log: false,
  })
  open.push(auth)
  return auth
}

const prototype = Object.prototype as Record<string, unknown>

async function acceptedWith(name: string, value: unknown, begin: () => Authenticator): Promise<string[]> {
  const accepted: string[] = []
  Object.defineProperty(prototype, name, { value, configurable: true, writable: true, enumerable: true })
  try {
    const auth = begin()
    for (const [who, chain] of chains) {
      const decision = await auth.authenticateChain(chain)
      if (decision.outcome === 'accepted') accepted.push(`${name}: ${who}`)
    }
  } catch {
    // Whoever is not decided about is not accepted.
  } finally {
    delete prototype[name]
  }
  return accepted.filter((each) => each !== `${name}: alice`)
}

/** What JSON can bring, with members that would be good news. */
const value = { cA: true, holds: true, outcome: 'accepted', status: 'good' }

test('without it, alice is accepted and nobody else', async () => {
  const auth = make()
  const outcomes = []
  for (const [who, chain] of chains)
    if ((await auth.authenticateChain(chain)).outcome === 'accepted') outcomes.push(who)
  expect(outcomes).toEqual(['alice'])
})

test('no member of Object.prototype admits a client, whether it is there before the authenticator or comes later', async () => {
  jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const names = namesThatMayBeMissing()
  expect(names).toEqual(expect.arrayContaining(['session', 'pathLenConstraint', 'keyIdentifier', 'leniency']))
  const accepted: string[] = []
  for (const name of names) {
    // What Node and this test wait by.
    if (['then', 'get', 'set', 'value'].includes(name)) continue
    const auth = make()
    accepted.push(...(await acceptedWith(name, value, () => auth)))
    accepted.push(...(await acceptedWith(name, value, () => make())))
    for (const auth of open.splice(0)) void auth.close()
  }
  expect(accepted).toEqual([])
}, 120_000)
