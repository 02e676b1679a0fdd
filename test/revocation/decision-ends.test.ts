/**
 * no acceptance outlives anything it was made of. Random histories of publishing, denying, waiting and asking are played to an authenticator
 * that remembers, and to a model of ten lines that does not.
 */
import { writeFileSync } from 'node:fs'
import { afterEach, beforeAll, beforeEach, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { crl } from '../../src/revocation/crl-checker.js'
import { denyList } from '../../src/revocation/deny-list.js'
import { firstDefinite } from '../../src/revocation/first-definite.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { day, fromNoon, hour, minute, noon, second, temporaryFolder } from '../support/pki.js'
import { closing, deciding, heardWarnings } from '../support/revocation.js'

const at = temporaryFolder()
heardWarnings()
// The watch looks every two seconds; the tests let the seconds pass at once.
beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] })
})
afterEach(() => {
  jest.useRealTimers()
})

const skew = 5 * minute
interface Client extends TestCredential {
  readonly end: number
}
/** A CRL of the issuing CA: from when, until when, and which clients it lists. */
interface Publication {
  readonly pem: string
  readonly begin: number
  readonly end: number
  readonly listed: readonly number[]
}

let pki: TestPki
let root: { readonly pem: string; readonly end: number }
const clients: Client[] = []
const publications: Publication[] = []

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  for (const end of [2 * hour, 5 * hour, 5 * day]) {
    const credential = await pki.issue({ subject: `CN=client ${end}`, notAfter: fromNoon(end) })
    clients.push({ ...credential, end: noon.getTime() + end })
  }
  const rootEnd = noon.getTime() + 7 * hour
  root = { pem: (await pki.root.crl({ nextUpdate: new Date(rootEnd) })).pem, end: rootEnd }
  // In the order of their numbers, which is that of their times.
  for (let i = 0; i < 16; i++) {
    const begin = noon.getTime() - hour + i * 25 * minute
    const end = begin + (i % 3 === 0 ? 40 * minute : 3 * hour)
    const listed = [0, 1, 2].filter((client) => (i * 5 + client * 7) % 4 === 0)
    const revoked = listed.map((client) => ({ serialNumber: clients[client] as Client }))
    const { pem } = await pki.crl({ revoked, thisUpdate: new Date(begin), nextUpdate: new Date(end), number: i + 1 })
    publications.push({ pem, begin, end, listed })
  }
})

type Step =
  | { readonly ask: number }
  | { readonly wait: number }
  | { readonly publish: number }
  | { readonly deny: number }
  | { readonly pardon: number }

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ ask: fc.nat(2) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        wait: fc.oneof({ weight: 3, arbitrary: fc.nat(20 * minute) }, { weight: 1, arbitrary: fc.nat(2 * hour) }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ publish: fc.nat(15) }) },
    { weight: 1, arbitrary: fc.record({ deny: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ pardon: fc.nat(2) }) },
  ),
  { minLength: 4, maxLength: 30 },
) as fc.Arbitrary<Step[]>

/** What is right at this moment, reckoned from all that was ever published. */
function verdictOf(client: number, seen: readonly Publication[], denied: ReadonlySet<number>, now: number): string {
  if (now >= (clients[client] as Client).end + second) return 'EXPIRED'
  if (denied.has(client)) return 'REVOKED'
  const begun = seen.filter(({ begin }) => begin <= now + skew)
  const newest = begun.reduce<Publication | undefined>(
    (a, b) => (a === undefined || b.begin > a.begin ? b : a),
    undefined,
  )
  if (newest?.listed.includes(client)) return 'REVOKED'
  return newest === undefined || newest.end < now || root.end < now ? 'REVOCATION_UNKNOWN' : 'accepted'
}

let files = 0
async function play(history: readonly Step[]): Promise<number> {
  const path = at(`${files++}.crl`)
  const clock = { now: noon.getTime() }
  const seen: Publication[] = []
  const denied = new Set<number>()
  const publish = (index: number) => {
    const publication = publications[index] as Publication
    seen.push(publication)
    writeFileSync(path, publication.pem + root.pem)
  }
  publish(1)
  const list = closing(denyList({ entries: [] }))
  const checker = closing(crl({ files: path, now: () => clock.now }))
  const { verdict, auth } = deciding({ trust: pki.trust, revocation: firstDefinite(list, checker) }, clock)
  const tell = () => list.replace([...denied].map((client) => (clients[client] as Client).fingerprint))
  let admitted = 0
  for (const step of history) {
    if ('wait' in step) clock.now += step.wait
    else if ('publish' in step) {
      publish(step.publish)
      jest.advanceTimersByTime(2_000)
    } else if ('deny' in step) {
      denied.add(step.deny)
      tell()
    } else if ('pardon' in step) {
      denied.delete(step.pardon)
      tell()
    } else {
      const expected = verdictOf(step.ask, seen, denied, clock.now)
      if (expected === 'accepted') admitted++
      expect(await verdict(clients[step.ask] as Client)).toBe(expected)
    }
  }
  await auth.close()
  checker.close()
  return admitted
}

test('five hundred histories: what is decided is what a model without a memory decides', async () => {
  let admitted = 0
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      admitted += await play(history)
    }),
    { numRuns: 500 },
  )
  // They are not all refusals.
  expect(admitted).toBeGreaterThan(500)
}, 120_000)
