/** everything a server of CRLs can do wrong, under every policy: nobody is admitted without a CRL that is signed and fresh. */
import { writeFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { CertificationPath } from '../../src/path/certification-path.js'
import { allowUnknown, type LenientChecker } from '../../src/revocation/allow-unknown.js'
import type { ManagedChecker } from '../../src/revocation/certificate-status.js'
import { crl } from '../../src/revocation/crl-checker.js'
import { firstDefinite } from '../../src/revocation/first-definite.js'
import { createTestPki, type TestAuthority, type TestCredential, type TestPki } from '../../src/testing.js'
import { context, pathOf } from '../support/checkers.js'
import { hour, noon, second, temporaryFolder } from '../support/pki.js'
import { type Fault, faults, faultTable, startResponder } from '../support/responder.js'
import { crlAt, heardWarnings } from '../support/revocation.js'

interface Policy {
  readonly origin: 'urls' | 'fromCertificate'
  readonly wrap: 'alone' | 'stale file' | 'allowUnknown' | 'allowUnknown over stale file'
  readonly leafOnly: boolean
}
const origins = ['urls', 'fromCertificate'] as const
const wraps = ['alone', 'stale file', 'allowUnknown', 'allowUnknown over stale file'] as const
const policies: Policy[] = origins.flatMap((origin) =>
  wraps.flatMap((wrap) => [true, false].map((leafOnly): Policy => ({ origin, wrap, leafOnly }))),
)
const nameOf = ({ origin, wrap, leafOnly }: Policy) => `${origin}, ${wrap}, ${leafOnly ? 'leaf' : 'whole path'}`
/** Nothing was fetched yet; what was fetched still holds; it has ended. */
type State = 'cold' | 'warm' | 'ended'

const at = temporaryFolder()
heardWarnings()
const rejections: unknown[] = []
const note = (reason: unknown) => rejections.push(reason)
let combinations = 0
let pki: TestPki
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  process.on('unhandledRejection', note)
})
afterAll(() => {
  process.off('unhandledRejection', note)
  expect(rejections).toEqual([])
  expect(combinations).toBeGreaterThan(2_000)
})

const isIntact = (fault: Fault) => faultTable[fault].outcomes.every((outcome) => outcome === 'intact')
/** Longer than a busy machine needs for an answer on loopback; shorter where it is the deadline that is waited for. */
const deadline = (fault: Fault) => (faultTable[fault].outcomes.includes('timeout') ? 300 : 5_000)

interface Client {
  readonly path: CertificationPath
  readonly credential: TestCredential
}

/** A server, and a checker of each policy that asks it about alice, who is good, and bob, who is revoked. */
async function stage(timeoutMilliseconds: number) {
  let time = noon.getTime()
  const server = await startResponder({ contentType: 'application/pkix-crl' })
  const [issuingUrl, rootUrl] = [`${server.url}/issuing.crl`, `${server.url}/root.crl`]
  const issuing = await pki.root.issueAuthority({ subject: 'CN=Issuing', extensions: [crlAt(rootUrl)] })
  const client = async (subject: string): Promise<Client> => {
    const credential = await issuing.issue({ subject, extensions: [crlAt(issuingUrl)] })
    return { credential, path: pathOf(credential, [pki.root.certificate]) }
  }
  const [alice, bob] = [await client('CN=alice'), await client('CN=bob')]
  const revoked = [{ serialNumber: bob.credential }]
  const crlOf = async (authority: TestAuthority, from: number, to: number) =>
    (await authority.crl({ revoked, thisUpdate: new Date(from), nextUpdate: new Date(to) })).der
  const stale = [at(`${server.port}.a.crl`), at(`${server.port}.b.crl`)]
  for (const [i, authority] of [issuing, pki.root].entries())
    writeFileSync(stale[i] as string, await crlOf(authority, time - 2 * hour, time - hour))

  const publish = async () => {
    const documents = new Map<string, Uint8Array>()
    for (const [name, authority] of [
      ['/issuing.crl', issuing],
      ['/root.crl', pki.root],
    ] as const)
      documents.set(name, await crlOf(authority, time - second, time + 4 * hour))
    server.answer = ({ path }) => documents.get(path) ?? Buffer.alloc(0)
  }
  const asked = { now: () => time, timeoutMilliseconds, maximumBytes: 65_536 }
  function checkerOf({ origin, wrap, leafOnly }: Policy): ManagedChecker {
    const allowed = { allowHosts: [`127.0.0.1:${server.port}`], allowPrivateNetworks: ['127.0.0.0/8'] }
    const from = origin === 'urls' ? { urls: [issuingUrl, rootUrl] } : { fromCertificate: true, ...allowed }
    const fetched = crl({ ...from, ...asked, leafOnly })
    const both = wrap.includes('stale')
      ? firstDefinite(fetched, crl({ files: stale, watch: false, leafOnly, now: asked.now }))
      : fetched
    return wrap.includes('allowUnknown') ? allowUnknown(both, { because: 'a test' }) : both
  }
  await publish()
  // The addresses that are configured are asked at once: the fault has to be there before.
  let checkers: readonly { readonly policy: Policy; readonly checker: ManagedChecker }[] = []
  return {
    server,
    begin: () => {
      checkers = policies.map((policy) => ({ policy, checker: checkerOf(policy) }))
    },
    pass: async (milliseconds: number) => {
      time += milliseconds
      await publish()
    },
    /** What all of them say, and how often soft-fail let somebody pass. */
    async answers(): Promise<Record<string, string>> {
      const entries = checkers.map(async ({ policy, checker }) => {
        const before = (checker as LenientChecker).allowed ?? 0
        const ask = async ({ path }: Client) => (await checker.check(path, new Date(time), context)).status
        const [one, two] = await Promise.all([ask(alice), ask(bob)])
        return [nameOf(policy), `${one}, ${two}, ${((checker as LenientChecker).allowed ?? 0) - before} allowed`]
      })
      return Object.fromEntries(await Promise.all(entries))
    },
    async close(): Promise<void> {
      for (const { checker } of checkers) checker.close()
      await server.settled()
    },
  }
}

/** What has to come out: alice's status, bob's, and how many certificates of unknown status were let pass. */
function expected({ wrap, leafOnly }: Policy, state: State, intact: boolean): string {
  if (intact || state === 'warm') return 'good, revoked, 0 allowed'
  const isLenient = wrap.includes('allowUnknown')
  // An entry outlives the CRL it stands in.
  const isListed = state === 'ended' || wrap.includes('stale')
  const unknown = isLenient ? 'good' : 'unknown'
  const count = (isListed ? 1 : 2) + (leafOnly ? 0 : 2)
  return `${unknown}, ${isListed ? 'revoked' : unknown}, ${isLenient ? count : 0} allowed`
}
const all = (state: State, intact: boolean) => {
  combinations += policies.length
  return Object.fromEntries(policies.map((policy) => [nameOf(policy), expected(policy, state, intact)]))
}

describe.each(faults)('R-03, R-08: a server with the fault %s', (fault) => {
  const intact = isIntact(fault)
  test(intact
    ? 'serves as well as any'
    : 'admits nobody, unless soft-fail was asked for, and then nobody who is known to be revoked', async () => {
    const { server, begin, answers, pass, close } = await stage(deadline(fault))
    await server.misbehave(fault)
    begin()
    expect(await answers()).toEqual(all('cold', intact))

    // What failed is forgotten soon after the server behaves; a busy machine may miss a short deadline once more.
    await server.misbehave(undefined)
    const recovered = all('cold', true)
    for (let tries = 0; tries < 5; tries++) {
      await pass(75 * second)
      if (isDeepStrictEqual(await answers(), recovered)) break
    }
    expect(await answers()).toEqual(recovered)

    // Past the time at which it is fetched again, before its end.
    await server.misbehave(fault)
    await pass(3.5 * hour)
    expect(await answers()).toEqual(all('warm', intact))

    await pass(hour)
    expect(await answers()).toEqual(all('ended', intact))

    await close()
    expect(server.open).toBe(0)
    // Two documents for each checker, in each of four states; more where a timer or a missed deadline came in between.
    expect(server.accepted).toBeLessThanOrEqual(policies.length * 2 * 8)
  }, 30_000)
})
