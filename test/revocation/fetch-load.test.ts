/** Many at once: lines, shared flights, and failures that are remembered. */
import { describe, expect, jest, test } from '@jest/globals'
import { limits } from '../../src/limits.js'
import type { FetchError, FetchedDocument } from '../../src/revocation/document-fetcher.js'
import { failureOf, fetcher, from, outcomeOf } from '../support/fetching.js'
import { startBlackHole, startResponder } from '../support/responder.js'

const document = Buffer.alloc(64, 'document')
const never = () => new Promise<never>(() => {})
const loopback = async () => ['127.0.0.1']
const wait = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))
const range = (count: number) => Array.from({ length: count }, (_, i) => i)

const countsOf = async (fetching: readonly Promise<FetchedDocument>[]) => {
  const counts: Record<string, number> = {}
  for (const outcome of await Promise.all(fetching.map((one) => outcomeOf(one, document)))) {
    counts[outcome] = (counts[outcome] ?? 0) + 1
  }
  return counts
}

/** What many fetches run into, begun in batches, as requests come: the first need not wait until the last is made. */
async function failuresOf(count: number, begin: (i: number) => Promise<FetchedDocument>): Promise<FetchError[]> {
  const all: Promise<FetchError>[] = []
  for (const i of range(count)) {
    if (i % 500 === 499) await new Promise(setImmediate)
    all.push(failureOf(begin(i)))
  }
  return Promise.all(all)
}

/** Whether a promise is settled already. */
const isSettled = (promise: Promise<unknown>) =>
  Promise.race([
    promise.then(
      () => true,
      () => true,
    ),
    wait(5).then(() => false),
  ])

describe('R-14: requests for the same document share one flight', () => {
  test('1,000 at once are one request, and get the same octets', async () => {
    const responder = await startResponder({ answer: document, fault: 'slow' })
    const made = fetcher()
    const documents = await Promise.all(range(1_000).map(() => made.fetch(from(responder))))
    expect(responder.requests).toHaveLength(1)
    expect(new Set(documents).size).toBe(1)
    expect(Object.isFrozen(documents[0])).toBe(true)
    expect(Buffer.from(documents[0]?.bytes ?? [])).toEqual(document)
  })

  test('a fragment makes no other document; everything else does', async () => {
    const responder = await startResponder({ answer: document, fault: 'slow' })
    const made = fetcher({ concurrencyPerHost: 16 })
    const post = { method: 'POST', body: Uint8Array.of(1), contentType: 'a/b' } as const
    const requests = [
      from(responder),
      from(`${responder.url}/document#fragment`),
      from(`${responder.url}/document?`),
      from(`${responder.url}/Document`),
      from(responder, { accept: 'a/b' }),
      from(responder, { maximumBytes: 4_095 }),
      from(responder, post),
      from(responder, { ...post, body: Uint8Array.of(2) }),
      from(responder, { ...post, contentType: 'a/c' }),
      from(responder, { ...post, body: Uint8Array.of(1) }),
    ]
    expect(await countsOf(requests.map((request) => made.fetch(request)))).toEqual({ intact: requests.length })
    expect(responder.requests).toHaveLength(requests.length - 2)
  })

  test('a caller that no longer waits takes nothing from the others', async () => {
    const responder = await startResponder({ answer: document, fault: 'slow' })
    const made = fetcher()
    const [impatient, patient] = [made.fetch(from(responder)), made.fetch(from(responder))]
    expect(await Promise.race([impatient.then(() => 'fetched'), wait(1).then(() => 'gone')])).toBe('gone')
    expect(await outcomeOf(patient, document)).toBe('intact')
  })

  test('a failure is everybody’s who waited, and nobody’s afterwards', async () => {
    const responder = await startResponder({ answer: document, fault: 'server-error' })
    const made = fetcher({ failureMilliseconds: 0 })
    expect(await countsOf(range(10).map(() => made.fetch(from(responder))))).toEqual({ status: 10 })
    expect(responder.requests).toHaveLength(1)
    await responder.misbehave(undefined)
    expect(await outcomeOf(made.fetch(from(responder)), document)).toBe('intact')
  })

  test('what was fetched is not kept: the next one asks again', async () => {
    const responder = await startResponder({ answer: document })
    const made = fetcher()
    await made.fetch(from(responder))
    responder.answer = Buffer.from('newer')
    expect(Buffer.from((await made.fetch(from(responder))).bytes).toString()).toBe('newer')
  })
})

describe('R-14: each host is asked by few at once, and the others wait in line', () => {
  /** A responder that takes its time, and counts how many requests it answers at once. */
  const counting = async () => {
    const seen = { now: 0, most: 0 }
    const answer = async () => {
      seen.most = Math.max(seen.most, ++seen.now)
      await wait(5)
      seen.now--
      return document
    }
    return { seen, responder: await startResponder({ answer }) }
  }

  test(`${limits.fetchesPerHost} at once, unless told otherwise; all are answered, in their order`, async () => {
    const { responder, seen } = await counting()
    const made = fetcher()
    expect(await countsOf(range(20).map((i) => made.fetch(from(`${responder.url}/${i}`))))).toEqual({ intact: 20 })
    expect(seen.most).toBe(limits.fetchesPerHost)
    expect(responder.requests.map(({ path }) => path)).toEqual(range(20).map((i) => `/${i}`))
  })

  test('as many as the operator says', async () => {
    const { responder, seen } = await counting()
    const made = fetcher({ concurrencyPerHost: 2 })
    expect(await countsOf(range(8).map((i) => made.fetch(from(`${responder.url}/${i}`))))).toEqual({ intact: 8 })
    expect(seen.most).toBe(2)
  })

  test(`${limits.fetchesWaiting} wait; one more is turned away at once`, async () => {
    const responder = await startResponder({ fault: 'hang-before-answer' })
    const made = fetcher()
    const all = range(limits.fetchesPerHost + limits.fetchesWaiting + 1).map((i) =>
      made.fetch(from(`${responder.url}/${i}`)),
    )
    const [last, lastButOne] = [all.at(-1), all.at(-2)] as [Promise<FetchedDocument>, Promise<FetchedDocument>]
    expect((await failureOf(last)).failure).toBe('busy')
    expect(await isSettled(lastButOne)).toBe(false)
    made.close()
    expect(await countsOf(all)).toEqual({ busy: 1, closed: all.length - 1 })
  })

  test('who waits in line until the deadline is told that it was the line', async () => {
    const responder = await startResponder({ fault: 'hang-in-body' })
    const made = fetcher({ timeoutMilliseconds: 300, concurrencyPerHost: 1 })
    const [first, second] = [made.fetch(from(`${responder.url}/1`)), made.fetch(from(`${responder.url}/2`))]
    expect((await failureOf(first)).failure).toBe('timeout')
    expect(await failureOf(second)).toMatchObject({ failure: 'busy', detail: { phase: 'line' } })
    expect(responder.requests).toHaveLength(1)
  })

  test('a slow host does not hold up another', async () => {
    const [slow, quick] = [
      await startResponder({ fault: 'hang-before-answer' }),
      await startResponder({ answer: document }),
    ]
    const made = fetcher()
    const stuck = range(50).map((i) => made.fetch(from(`${slow.url}/${i}`)))
    expect(await countsOf(range(20).map((i) => made.fetch(from(`${quick.url}/${i}`))))).toEqual({ intact: 20 })
    expect(await isSettled(Promise.any(stuck))).toBe(false)
  })

  const letIn = (port: number) => ({ allowHosts: [`127.0.0.1:${port}`], allowPrivateNetworks: ['127.0.0.1'] })

  test('URLs of certificates do not hold up the operator’s, at the same host', async () => {
    const responder = await startResponder({ answer: document, fault: 'hang-before-answer' })
    const made = fetcher(letIn(responder.port))
    const stuck = range(50).map((i) => made.fetch(from(`${responder.url}/${i}`, { configured: false })))
    while (responder.requests.length < limits.fetchesPerHost) await wait(1)
    await responder.misbehave(undefined)
    expect(await outcomeOf(made.fetch(from(responder)), document)).toBe('intact')
    expect(await isSettled(Promise.any(stuck))).toBe(false)
  })

  test('what certificates’ URLs ran into is not held against the operator’s, at the same host', async () => {
    const responder = await startResponder({ answer: document })
    await responder.misbehave('refuse-connection')
    const made = fetcher(letIn(responder.port))
    const theirs = from(responder, { configured: false })
    expect((await failureOf(made.fetch(theirs))).failure).toBe('connect')
    await responder.misbehave(undefined)
    expect((await failureOf(made.fetch(theirs))).detail.remembered).toBe(true)
    expect(await outcomeOf(made.fetch(from(responder)), document)).toBe('intact')
  })

  test(`${limits.fetchHosts} hosts are asked at once for certificates; one more waits for none of them`, async () => {
    const responder = await startResponder({ answer: document, fault: 'hang-before-answer' })
    const lookup = jest.fn(loopback)
    const options = { allowHosts: [`.example.test:${responder.port}`], allowPrivateNetworks: ['127.0.0.1'], lookup }
    const made = fetcher(options)
    const url = (host: number) => `http://h${host}.example.test:${responder.port}/`
    const all = range(limits.fetchHosts).map((i) => made.fetch(from(url(i), { configured: false })))
    while (responder.requests.length < limits.fetchHosts) await wait(1)
    expect((await failureOf(made.fetch(from(url(limits.fetchHosts), { configured: false })))).failure).toBe('busy')
    await responder.misbehave(undefined)
    expect(await outcomeOf(made.fetch(from(url(limits.fetchHosts))), document)).toBe('intact')
    made.close()
    expect(await countsOf(all)).toEqual({ closed: limits.fetchHosts })
  })

  test('lookups that do not return are not piled up: one for each host, and for certificates not more hosts than those', async () => {
    const lookup = jest.fn(never)
    const made = fetcher({ timeoutMilliseconds: 700, failureMilliseconds: 0, allowHosts: ['.example.test'], lookup })
    const fetchAll = (configured: boolean, count: number) =>
      countsOf(range(count).map((i) => made.fetch(from(`http://h${i}.example.test/`, { configured }))))
    expect(await fetchAll(false, limits.fetchHosts)).toEqual({ timeout: limits.fetchHosts })
    expect(await fetchAll(false, limits.fetchHosts)).toEqual({ timeout: limits.fetchHosts })
    expect(lookup).toHaveBeenCalledTimes(limits.fetchHosts)
    const { failure } = await failureOf(made.fetch(from('http://one-more.example.test/', { configured: false })))
    expect(failure).toBe('busy')
    expect(lookup).toHaveBeenCalledTimes(limits.fetchHosts)
    expect((await failureOf(made.fetch(from('http://one-more.example.test/')))).failure).toBe('timeout')
    expect(lookup).toHaveBeenCalledTimes(limits.fetchHosts + 1)
  })

  test('10,000 requests to a silent host cost a handful of connections and one deadline', async () => {
    const responder = await startResponder({ fault: 'hang-before-answer' })
    const made = fetcher({ timeoutMilliseconds: 1_500 })
    const errors = await failuresOf(10_000, (i) => made.fetch(from(`${responder.url}/${i}`)))
    expect(new Set(errors.map(({ failure }) => failure))).toEqual(new Set(['busy', 'timeout']))
    const waited = errors.filter(({ failure, detail }) => failure === 'timeout' && !detail.remembered)
    expect(waited.length).toBeLessThanOrEqual(4 * limits.fetchesPerHost)
    expect(responder.accepted).toBeLessThanOrEqual(4 * limits.fetchesPerHost)
    await responder.settled()
  })

  test('10,000 requests to a host that refuses connections cost a handful of them', async () => {
    const responder = await startResponder()
    await responder.misbehave('refuse-connection')
    const made = fetcher({ lookup: loopback })
    const errors = await failuresOf(10_000, (i) => made.fetch(from(`http://crl.example.test:${responder.port}/${i}`)))
    const tried = errors.filter(({ failure, detail }) => failure === 'connect' && !detail.remembered)
    expect(tried.length).toBeLessThanOrEqual(2 * limits.fetchesPerHost)
    expect(new Set(errors.map(({ failure }) => failure))).toEqual(new Set(['connect', 'busy']))
  })
})

describe('R-13: failures are remembered for a moment', () => {
  const clock = () => {
    let time = 1_000_000
    return { now: () => time, pass: (milliseconds: number) => (time += milliseconds) }
  }

  test(`for ${limits.fetchFailureMilliseconds} ms: then it is asked again`, async () => {
    const { now, pass } = clock()
    const responder = await startResponder({ answer: document, fault: 'not-found' })
    const made = fetcher({ now })
    const first = await failureOf(made.fetch(from(responder)))
    pass(limits.fetchFailureMilliseconds - 1)
    const second = await failureOf(made.fetch(from(responder)))
    expect([first.failure, first.detail.remembered, first.detail.status]).toEqual(['status', undefined, 404])
    expect([second.failure, second.detail.remembered, second.detail.status]).toEqual(['status', true, 404])
    expect(responder.requests).toHaveLength(1)
    await responder.misbehave(undefined)
    pass(1)
    expect(await outcomeOf(made.fetch(from(responder)), document)).toBe('intact')
  })

  test('as long as the operator says', async () => {
    const { now, pass } = clock()
    const responder = await startResponder({ fault: 'not-found' })
    const made = fetcher({ now, failureMilliseconds: 100 })
    for (const milliseconds of [0, 99, 1]) {
      pass(milliseconds)
      await failureOf(made.fetch(from(responder)))
    }
    expect(responder.requests).toHaveLength(2)
  })

  test('a clock that was set back forgets', async () => {
    const { now, pass } = clock()
    const responder = await startResponder({ fault: 'not-found' })
    const made = fetcher({ now })
    await failureOf(made.fetch(from(responder)))
    pass(-1)
    await failureOf(made.fetch(from(responder)))
    expect(responder.requests).toHaveLength(2)
  })

  test('a document that is not there does not stand for others of its host', async () => {
    const responder = await startResponder({ answer: document, fault: 'not-found' })
    const made = fetcher()
    await failureOf(made.fetch(from(`${responder.url}/1`)))
    await responder.misbehave(undefined)
    expect(await outcomeOf(made.fetch(from(`${responder.url}/2`)), document)).toBe('intact')
  })

  test('a host that refuses connections stands for all of its documents, and the failure names the one that was asked for', async () => {
    const responder = await startResponder({ answer: document, fault: 'refuse-connection' })
    const made = fetcher()
    await failureOf(made.fetch(from(`${responder.url}/1`)))
    await responder.misbehave(undefined)
    const error = await failureOf(made.fetch(from(`${responder.url}/2`)))
    expect([error.failure, error.detail.code, error.detail.remembered]).toEqual(['connect', 'ECONNREFUSED', true])
    expect(error.detail.url).toBe(`"${responder.url}/2"`)
    expect(responder.accepted).toBe(0)
  })

  const onLinux = process.platform === 'linux' ? test : test.skip
  onLinux('a dead host costs one deadline in a moment, not one for every client', async () => {
    const { url } = await startBlackHole()
    const made = fetcher({ timeoutMilliseconds: 200 })
    expect((await failureOf(made.fetch(from(`${url}/0`)))).detail).toMatchObject({ phase: 'connect' })
    const started = performance.now()
    for (const i of range(100)) expect((await failureOf(made.fetch(from(`${url}/${i}`)))).failure).toBe('timeout')
    expect(performance.now() - started).toBeLessThan(200)
  })

  test('a name that is not found stands for the host, too; the next answer mends it', async () => {
    const { now, pass } = clock()
    const responder = await startResponder({ answer: document })
    const answers = [[], ['127.0.0.1']]
    const lookup = jest.fn(async () => answers.shift() ?? [])
    const made = fetcher({ now, lookup })
    const fetchPath = (path: string) =>
      outcomeOf(made.fetch(from(`http://crl.example.test:${responder.port}${path}`)), document)
    expect([await fetchPath('/1'), await fetchPath('/2')]).toEqual(['dns', 'dns'])
    expect(lookup).toHaveBeenCalledTimes(1)
    pass(limits.fetchFailureMilliseconds)
    expect(await fetchPath('/3')).toBe('intact')
  })

  test('one slow document does not stand for its host; as many in a row as are asked at once do', async () => {
    const responder = await startResponder({ answer: document, fault: 'hang-before-answer' })
    const made = fetcher({ timeoutMilliseconds: 250, concurrencyPerHost: 2 })
    const silence = async (path: string) =>
      expect(await failureOf(made.fetch(from(`${responder.url}${path}`)))).toMatchObject({
        failure: 'timeout',
        detail: { phase: 'headers' },
      })
    await silence('/1')
    await responder.misbehave(undefined)
    expect(await outcomeOf(made.fetch(from(`${responder.url}/2`)), document)).toBe('intact')
    // The answer in between starts the count again.
    await responder.misbehave('hang-before-answer')
    await silence('/3')
    await responder.misbehave('not-found')
    expect((await failureOf(made.fetch(from(`${responder.url}/4`)))).failure).toBe('status')
    await responder.misbehave('hang-before-answer')
    await silence('/5')
    await silence('/6')
    const { accepted } = responder
    await responder.misbehave(undefined)
    expect((await failureOf(made.fetch(from(`${responder.url}/7`)))).detail.remembered).toBe(true)
    expect(responder.accepted).toBe(accepted)
  })

  test.each<[what: string, more: object, failure: FetchError['failure']]>([
    ['a refused URL', { url: 'ftp://x/' }, 'refused-url'],
    ['a refused host', { configured: false }, 'refused-host'],
  ])('%s is found out anew each time', async (_, more, failure) => {
    const made = fetcher()
    const request = { ...from('http://127.0.0.1:1/'), ...more }
    for (const _round of range(2)) {
      const error = await failureOf(made.fetch(request))
      expect([error.failure, error.detail.remembered]).toEqual([failure, undefined])
    }
  })
})
