/**
 * What is asked, what servers answer, and what becomes of it, over real sockets. Where URLs may lead is in fetch-policy.test.ts; lines, shared
 * flights and remembered failures are in fetch-load.test.ts.
 */
import http from 'node:http'
import https from 'node:https'
import { inspect } from 'node:util'
import { runInThisContext } from 'node:vm'
import { afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { limits } from '../../src/limits.js'
import { createDocumentFetcher, type DocumentRequest, FetchError } from '../../src/revocation/document-fetcher.js'
import { createTestAuthority, createTestPki, type TestPki } from '../../src/testing.js'
import { expecting, failureOf, fetcher, from, outcomeOf } from '../support/fetching.js'
import { type Fault, faults, faultTable, goodHead, startBlackHole, startResponder } from '../support/responder.js'

const document = Buffer.from('3082'.padEnd(128, 'ab'), 'hex')
const never = () => new Promise<never>(() => {})
/** The connections of this process, both ends of each counted. */
const socketCount = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
/** The environment Node itself reads: the one of a test is a copy. */
const { env: environment } = runInThisContext('process') as NodeJS.Process

const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1))
}

afterEach(() => {
  jest.useRealTimers()
  jest.restoreAllMocks()
})

describe('what is asked', () => {
  test('a GET says what it takes and who it is, and nothing else', async () => {
    const responder = await startResponder({ answer: document })
    const accept = 'application/pkix-crl'
    await fetcher().fetch(from(`${responder.url}/a%20b/ca.crl?x=1&y=%2B#fragment`, { accept }))
    expect(responder.requests).toEqual([
      {
        method: 'GET',
        path: '/a%20b/ca.crl?x=1&y=%2B',
        headers: {
          accept,
          'accept-encoding': 'identity',
          'user-agent': 'mtls-identity',
          host: `127.0.0.1:${responder.port}`,
          connection: 'close',
        },
        body: Buffer.alloc(0),
        servername: undefined,
      },
    ])
  })

  test('a POST carries its octets as they were when it was called', async () => {
    const responder = await startResponder({ answer: document })
    const body = Uint8Array.of(1, 2, 3)
    const more = { method: 'POST', body, contentType: 'application/ocsp-request' } as const
    const fetching = fetcher().fetch(from(responder, more))
    body.fill(9)
    await fetching
    const [request] = responder.requests
    expect([request?.method, [...(request?.body ?? [])]]).toEqual(['POST', [1, 2, 3]])
    expect(request?.headers).toMatchObject({ 'content-type': 'application/ocsp-request', 'content-length': '3' })
    expect(request?.headers).not.toHaveProperty('transfer-encoding')
  })

  test('the Host is the name, not the address it was resolved to; the name is in lower case and without its final dot', async () => {
    const responder = await startResponder({ answer: document })
    const lookup = jest.fn(async () => ['127.0.0.1'])
    await fetcher({ lookup }).fetch(from(`http://CRL.Example.test.:${responder.port}/`))
    expect(lookup.mock.calls).toEqual([['crl.example.test']])
    expect(responder.requests[0]?.headers.host).toBe(`crl.example.test:${responder.port}`)
  })

  test('IPv6 addresses are asked, too', async () => {
    const responder = await startResponder({ answer: document, host: '::1' })
    expect(await outcomeOf(fetcher().fetch(from(responder)), document)).toBe('intact')
    expect(responder.requests[0]?.headers.host).toBe(`[::1]:${responder.port}`)
  })

  test('proxies and agents of the surroundings have no say', async () => {
    const responder = await startResponder({ answer: document })
    const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'NODE_USE_ENV_PROXY']
    const former = names.map((name) => [name, environment[name]] as const)
    const { globalAgent } = http
    for (const name of names) environment[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : 'http://127.0.0.1:9/'
    http.globalAgent = new http.Agent()
    http.globalAgent.createConnection = () => {
      throw new Error('asked an agent of others')
    }
    try {
      expect(await outcomeOf(fetcher().fetch(from(responder)), document)).toBe('intact')
    } finally {
      http.globalAgent = globalAgent
      for (const [name, value] of former) {
        if (value === undefined) delete environment[name]
        else environment[name] = value
      }
    }
  })

  test('nothing is kept of an answer: cookies are not sent back', async () => {
    const responder = await startResponder({ answer: document, headers: ['Set-Cookie: a=b', 'Refresh: 0'] })
    const both = fetcher()
    await both.fetch(from(responder))
    await both.fetch(from(responder))
    expect(responder.requests).toHaveLength(2)
    expect(responder.requests[1]).toEqual(responder.requests[0])
  })

  const mistakes: [what: string, request: Partial<Record<keyof DocumentRequest, unknown>>][] = [
    ['another method', { method: 'PUT' }],
    ['a GET with a body', { body: document }],
    ['a POST without', { method: 'POST' }],
    ['a POST of text', { method: 'POST', body: 'text' }],
    ['a type of no body', { contentType: 'text/plain' }],
    ['an accept with a line break', { accept: 'a/b\r\nX: y' }],
    ['no accept', { accept: undefined }],
    ['no maximum', { maximumBytes: undefined }],
    ['an endless maximum', { maximumBytes: Number.POSITIVE_INFINITY }],
    ['a maximum of nothing', { maximumBytes: 0 }],
    ['nobody who wrote the URL', { configured: undefined }],
    ['a truthy somebody', { configured: 'no' }],
  ]
  test.each(mistakes)('%s is a TypeError, and asks nobody', async (_, mistake) => {
    const responder = await startResponder({ answer: document })
    await expect(fetcher().fetch({ ...from(responder), ...mistake } as DocumentRequest)).rejects.toThrow(TypeError)
    expect(responder.accepted).toBe(0)
  })
})

describe('what is delivered', () => {
  test('the octets, when they were asked for, their type, and how long they are fresh', async () => {
    const headers = ['Cache-Control: max-age=60']
    const responder = await startResponder({ answer: document, contentType: 'Application/PKIX-CRL; v=1', headers })
    const { bytes, ...rest } = await fetcher({ now: () => 1_000_000 }).fetch(from(responder))
    expect(Buffer.from(bytes)).toEqual(document)
    expect(bytes.buffer.byteLength).toBe(document.length)
    expect(rest).toEqual({ contentType: 'application/pkix-crl', fetchedAt: 1_000_000, freshUntil: 1_060_000 })
  })

  test('a type that is none, and a freshness nobody stated, are undefined', async () => {
    for (const contentType of ['', ' ; charset=x', `a/${'b'.repeat(127)}`, 'a', 'a/b c', 'a/\u00fc', 'a/b, c/d']) {
      const responder = await startResponder({ answer: document, contentType })
      expect(await fetcher().fetch(from(responder))).toMatchObject({ contentType: undefined, freshUntil: undefined })
    }
  })

  test('a large document arrives whole', async () => {
    const answer = Buffer.alloc(3_000_001, 'abc')
    const responder = await startResponder({ answer })
    const request = from(responder, { maximumBytes: answer.length })
    expect(await outcomeOf(fetcher().fetch(request), answer)).toBe('intact')
  })
})

describe('R-03: whatever a server does, there is the document, or a failure that names it, and no socket is left', () => {
  test.each(faults)('%s', async (fault) => {
    const responder = await startResponder({ answer: document, fault })
    const before = socketCount()
    const started = performance.now()
    const outcome = await outcomeOf(fetcher(expecting(fault)).fetch(from(responder)), document)
    expect(faultTable[fault].outcomes).toContain(outcome)
    expect(performance.now() - started).toBeLessThan(3_000)
    expect(responder.requests.length).toBeLessThanOrEqual(1)
    await responder.settled()
    await until(() => socketCount() <= before)
  })

  test('a mended server is heard again, whatever it did before', async () => {
    const responder = await startResponder({ answer: document })
    const patient = fetcher({ failureMilliseconds: 0 })
    const impatient = fetcher({ failureMilliseconds: 0, timeoutMilliseconds: 30 })
    for (const fault of faults.filter((name) => faultTable[name].onRequest !== undefined)) {
      await responder.misbehave(fault)
      await outcomeOf((expecting(fault).timeoutMilliseconds ? impatient : patient).fetch(from(responder)), document)
      await responder.misbehave(undefined)
      expect([fault, await outcomeOf(patient.fetch(from(responder)), document)]).toEqual([fault, 'intact'])
    }
  })

  test('any mutilation of a good answer is an answer or a failure', async () => {
    const good = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: 8\r\nTransfer-Encoding: identity\r\n\r\n12345678`)
    const responder = await startResponder()
    const impatient = fetcher({ failureMilliseconds: 0, timeoutMilliseconds: 40, concurrencyPerHost: 16 })
    const octet = fc.record({ at: fc.nat(good.length - 1), value: fc.integer({ min: 0, max: 255 }) })
    let round = 0
    await responder.misbehave('http-0.9')
    await fc.assert(
      fc.asyncProperty(fc.array(octet, { minLength: 1, maxLength: 4 }), fc.nat(good.length), async (changes, cut) => {
        const octets = Buffer.from(good)
        for (const { at, value } of changes) octets[at] = value
        responder.answer = octets.subarray(0, octets.length - (cut % 9))
        const outcome = await outcomeOf(impatient.fetch(from(`${responder.url}/${round++}`)), Buffer.from('12345678'))
        expect(typeof outcome).toBe('string')
      }),
      { numRuns: 300 },
    )
    await responder.settled()
  })

  test('R-01: a redirect to the metadata service is told, quoted, and not followed', async () => {
    const responder = await startResponder({ fault: 'redirect-to-metadata' })
    const lookup = jest.fn(async () => ['127.0.0.1'])
    const { failure, message } = await failureOf(
      fetcher({ lookup }).fetch(from(`http://crl.example.test:${responder.port}/`)),
    )
    expect(failure).toBe('redirect')
    expect(message).toContain('status 302 leads to "http://169.254.169.254/latest/meta-data/"')
    expect([responder.accepted, lookup.mock.calls.length]).toEqual([1, 1])
  })

  test('a redirect that repeats the query of its request is told without it', async () => {
    const responder = await startResponder({ fault: 'redirect-with-query' })
    const error = await failureOf(fetcher().fetch(from(`${responder.url}/ca.crl?sig=s3cret`)))
    expect(error.message).toContain('status 301 leads to "https://crl.example.test/ca.crl?…"')
    expect(inspect(error, { showHidden: true })).not.toContain('s3cret')
  })

  test('user information in a URL, which is refused, is told to nobody', async () => {
    const error = await failureOf(fetcher().fetch(from('http://ca:s3cret@127.0.0.1/ca.crl')))
    expect(error.message).toContain('"http://…@127.0.0.1/ca.crl" was not fetched: it has user information')
    expect(inspect(error, { showHidden: true })).not.toContain('s3cret')
  })

  test('a compression bomb is refused by its header, before it is read', async () => {
    const responder = await startResponder({ fault: 'gzip-bomb' })
    const forgetful = fetcher({ failureMilliseconds: 0 })
    for (let i = 0; i < 5; i++) expect((await failureOf(forgetful.fetch(from(responder)))).failure).toBe('encoding')
    await responder.settled()
  })

  const onLinux = process.platform === 'linux' ? test : test.skip
  onLinux('a host that no connection gets through to costs the deadline, and no more', async () => {
    const { url } = await startBlackHole()
    const before = socketCount()
    const { failure, detail } = await failureOf(fetcher({ timeoutMilliseconds: 100 }).fetch(from(`${url}/`)))
    expect([failure, detail.phase]).toEqual(['timeout', 'connect'])
    await until(() => socketCount() <= before)
  })

  test('the failure says where the exchange stood, and what the status was', async () => {
    const cases: [fault: Fault, detail: object][] = [
      ['refuse-connection', { phase: 'connect', code: 'ECONNREFUSED' }],
      ['hang-before-answer', { phase: 'headers' }],
      ['hang-in-headers', { phase: 'headers' }],
      ['hang-in-body', { phase: 'body' }],
      ['reset-before-answer', { phase: 'headers', code: 'ECONNRESET' }],
      ['reset-in-body', { phase: 'body', code: 'ECONNRESET' }],
      ['not-found', { status: 404 }],
      ['redirect-to-metadata', { status: 302 }],
    ]
    const details = cases.map(async ([fault]) => {
      const responder = await startResponder({ answer: document, fault })
      return (await failureOf(fetcher(expecting(fault, 500)).fetch(from(responder)))).detail
    })
    expect(await Promise.all(details)).toEqual(cases.map(([, detail]) => expect.objectContaining(detail)))
  })
})

describe('bounds', () => {
  const framings: [name: string, fault: Fault | undefined][] = [
    ['with a length', undefined],
    ['in chunks', 'octet-chunks'],
    ['until the connection ends', 'without-length'],
  ]
  test.each(framings)('a document of just the maximum is read, one octet more is not: %s', async (_, fault) => {
    const responder = await startResponder({ answer: document, ...(fault && { fault }) })
    const length = document.length
    expect(await outcomeOf(fetcher().fetch(from(responder, { maximumBytes: length })), document)).toBe('intact')
    const { failure, message } = await failureOf(fetcher().fetch(from(responder, { maximumBytes: length - 1 })))
    expect(failure).toBe('too-large')
    expect(message).toContain(`${length - 1}`)
  })

  test(`${limits.fetchHeaderBytes} octets of header fields are read, a few more are not`, async () => {
    const withHeader = async (octets: number) => {
      const responder = await startResponder({ answer: document, headers: [`X: ${'x'.repeat(octets)}`] })
      return outcomeOf(fetcher().fetch(from(responder)), document)
    }
    expect(await withHeader(limits.fetchHeaderBytes - 200)).toBe('intact')
    expect(await withHeader(limits.fetchHeaderBytes)).toBe('too-large')
  })

  test(`${limits.interimAnswers} interim answers are passed over, one more is not`, async () => {
    const following = async (count: number) => {
      const responder = await startResponder({ fault: 'http-0.9' })
      const head = goodHead({ body: document, contentType: 'a/b' })
      responder.answer = Buffer.from(`${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(count)}${head}`)
      responder.answer = Buffer.concat([responder.answer, document])
      return outcomeOf(fetcher().fetch(from(responder)), document)
    }
    expect(await following(limits.interimAnswers)).toBe('intact')
    expect(await following(limits.interimAnswers + 1)).toBe('status')
  })

  test(`a fetch has ${limits.fetchMilliseconds} ms, unless told otherwise`, async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] })
    const made = createDocumentFetcher({ lookup: never })
    let seen: unknown
    made.fetch(from('http://crl.example.test/')).catch((error) => {
      seen = error
    })
    await jest.advanceTimersByTimeAsync(limits.fetchMilliseconds - 1)
    expect(seen).toBeUndefined()
    await jest.advanceTimersByTimeAsync(1)
    expect(seen).toMatchObject({ failure: 'timeout', detail: { phase: 'dns' } })
    made.close()
  })

  test('the deadline of what is over is called off', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] })
    const made = createDocumentFetcher({ lookup: async () => [] })
    const fetching = failureOf(made.fetch(from('http://crl.example.test/')))
    expect(jest.getTimerCount()).toBe(1)
    expect((await fetching).failure).toBe('dns')
    expect(jest.getTimerCount()).toBe(0)
  })

  test('a server that drips cannot win time: the deadline is for all of it', async () => {
    for (const fault of ['drip-headers', 'drip-body'] as const) {
      const responder = await startResponder({ answer: document, fault })
      const started = performance.now()
      expect((await failureOf(fetcher({ timeoutMilliseconds: 60 }).fetch(from(responder)))).failure).toBe('timeout')
      expect(performance.now() - started).toBeLessThan(2_000)
    }
  })

  test('no timer of ours keeps the process alive', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    const pending = fetcher({ lookup: never, timeoutMilliseconds: 40 }).fetch(from('http://crl.example.test/'))
    expect(timers()).toBe(before)
    expect((await failureOf(pending)).failure).toBe('timeout')
  })
})

describe('https', () => {
  let pki: TestPki
  let good: { key: string; cert: string }
  beforeAll(async () => {
    pki = await createTestPki()
    good = (await pki.server()).tls
  })
  const lookup = async () => ['127.0.0.1']
  const named = (port: number, host = 'localhost') => `https://${host}:${port}/document`

  test('a server of a CA in `ca` is asked by the name it has a certificate for, or by the address', async () => {
    const responder = await startResponder({ answer: document, tls: good })
    const made = fetcher({ ca: pki.trust, lookup })
    expect(await outcomeOf(made.fetch(from(named(responder.port))), document)).toBe('intact')
    expect(await outcomeOf(made.fetch(from(responder)), document)).toBe('intact')
    expect(responder.requests.map(({ servername }) => servername)).toEqual(['localhost', false])
    expect(responder.requests[0]?.headers.host).toBe(`localhost:${responder.port}`)
  })

  test('`ca` may be DER, and several', async () => {
    const responder = await startResponder({ answer: document, tls: good })
    const other = await createTestAuthority()
    const ca = [other.certificate.pem, pki.root.certificate.der]
    expect(await outcomeOf(fetcher({ ca, lookup }).fetch(from(named(responder.port))), document)).toBe('intact')
  })

  const impostors: [name: string, make: () => Promise<{ key: string; cert: string }>, code: string][] = [
    [
      'another CA',
      async () => (await createTestPki()).server().then(({ tls }) => tls),
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    ],
    [
      'another name',
      async () => (await pki.server({ names: { dns: ['other.test'], ip: ['127.0.0.9'] } })).tls,
      'ERR_TLS_CERT_ALTNAME_INVALID',
    ],
    [
      'another time',
      async () => (await pki.server({ notBefore: new Date(2020, 0), notAfter: new Date(2021, 0) })).tls,
      'CERT_HAS_EXPIRED',
    ],
    ['another purpose', async () => (await pki.server({ extendedKeyUsage: ['clientAuth'] })).tls, 'INVALID_PURPOSE'],
  ]
  test.each(impostors)('a certificate of %s is refused, and nothing is asked', async (_, make, code) => {
    const responder = await startResponder({ answer: document, tls: await make() })
    const failure = await failureOf(fetcher({ ca: pki.trust, lookup }).fetch(from(named(responder.port))))
    expect(failure).toMatchObject({ failure: 'tls', detail: { code, phase: 'tls' } })
    expect(responder.requests).toEqual([])
    await responder.settled()
  })

  test('without `ca`, a server needs a certificate of a public CA', async () => {
    const responder = await startResponder({ answer: document, tls: good })
    expect((await failureOf(fetcher({ lookup }).fetch(from(named(responder.port))))).failure).toBe('tls')
  })

  test('NODE_TLS_REJECT_UNAUTHORIZED=0 does not weaken it', async () => {
    const responder = await startResponder({ answer: document, tls: (await (await createTestPki()).server()).tls })
    const former = environment.NODE_TLS_REJECT_UNAUTHORIZED
    jest.spyOn(process, 'emitWarning').mockReturnValue(undefined as never)
    environment.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    try {
      const options = { host: '127.0.0.1', port: responder.port, agent: false as const }
      const weakened = new Promise((resolve, reject) => https.get(options, resolve).on('error', reject))
      await expect(weakened).resolves.toHaveProperty('statusCode', 200)
      expect((await failureOf(fetcher({ ca: pki.trust }).fetch(from(responder)))).failure).toBe('tls')
    } finally {
      if (former === undefined) delete environment.NODE_TLS_REJECT_UNAUTHORIZED
      else environment.NODE_TLS_REJECT_UNAUTHORIZED = former
    }
  })

  test.each<[name: string, fault: Fault, outcomes: string[]]>([
    ['says nothing in the handshake', 'hang-on-accept', ['timeout']],
    ['resets the connection in the handshake', 'reset-on-accept', ['tls', 'connect']],
    ['ends the connection in the handshake', 'close-on-accept', ['tls']],
    ['does not speak TLS', 'speak-first', ['tls']],
  ])('a server that %s', async (_, fault, outcomes) => {
    const responder = await startResponder({ fault })
    const options = { ca: pki.trust, lookup, ...expecting(fault, 500) }
    const error = await failureOf(fetcher(options).fetch(from(named(responder.port))))
    expect(outcomes).toContain(error.failure)
    if (error.failure !== 'connect') expect(error.detail.phase).toBe('tls')
    await responder.settled()
  })

  test.each(faults.filter((fault) => faultTable[fault].onRequest !== undefined))('over TLS: %s', async (fault) => {
    const responder = await startResponder({ answer: document, tls: good, fault })
    const made = fetcher({ ca: pki.trust, ...expecting(fault) })
    expect(faultTable[fault].outcomes).toContain(await outcomeOf(made.fetch(from(responder)), document))
    await responder.settled()
  })
})

describe('closing', () => {
  test.each<[phase: string, fault: Fault]>([
    ['waiting for the answer', 'hang-before-answer'],
    ['reading it', 'hang-in-body'],
  ])('ends what is under way: %s', async (_, fault) => {
    const responder = await startResponder({ answer: document, fault })
    const made = fetcher({ timeoutMilliseconds: 5_000, concurrencyPerHost: 1 })
    const first = failureOf(made.fetch(from(`${responder.url}/1`)))
    const inLine = failureOf(made.fetch(from(`${responder.url}/2`)))
    await until(() => responder.requests.length === 1)
    made.close()
    expect((await first).failure).toBe('closed')
    expect((await inLine).failure).toBe('closed')
    await responder.settled()
    expect(responder.accepted).toBe(1)
  })

  test('ends what is being resolved; the answer that comes later starts nothing', async () => {
    const responder = await startResponder({ answer: document })
    let answer = (_: readonly string[]): void => {}
    const lookup = () =>
      new Promise<readonly string[]>((resolve) => {
        answer = resolve
      })
    const made = fetcher({ lookup })
    const fetching = failureOf(made.fetch(from(`http://crl.example.test:${responder.port}/`)))
    made.close()
    expect((await fetching).failure).toBe('closed')
    answer(['127.0.0.1'])
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(responder.accepted).toBe(0)
  })

  test('is for good, and may be done twice', async () => {
    const responder = await startResponder({ answer: document })
    const made = fetcher()
    expect(await outcomeOf(made.fetch(from(responder)), document)).toBe('intact')
    made.close()
    made.close()
    expect((await failureOf(made.fetch(from(responder)))).failure).toBe('closed')
    expect(responder.accepted).toBe(1)
  })
})

describe('errors', () => {
  test('a promise that nobody waits for ends no process', async () => {
    const unhandled = jest.fn()
    process.on('unhandledRejection', unhandled)
    const responder = await startResponder({ fault: 'reset-in-body' })
    const made = fetcher()
    void made.fetch(from(responder))
    void made.fetch(from(responder))
    void made.fetch(from('ftp://x/'))
    void made.fetch({} as DocumentRequest)
    await new Promise((resolve) => setTimeout(resolve, 60))
    void made.fetch(from(responder))
    made.close()
    await new Promise((resolve) => setTimeout(resolve, 10))
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })

  test('are of one line and bounded, whatever the URL and the server put into them', async () => {
    const pki = await createTestPki()
    const dns = Array.from({ length: 60 }, (_, i) => `evil\u202e\n${i}.example.test`)
    const responder = await startResponder({ tls: (await pki.server({ names: { dns } })).tls })
    const made = fetcher({ ca: pki.trust })
    const errors = [
      await failureOf(made.fetch(from(responder))),
      await failureOf(made.fetch(from(`http://127.0.0.1:1/${'x'.repeat(2_000)}`))),
      await failureOf(made.fetch(from(`gopher://\u202e\n\u001b[31m${'x'.repeat(100_000)}`))),
    ]
    for (const error of errors) {
      expect(error).toBeInstanceOf(FetchError)
      expect(error.message).toMatch(/^[\x20-\x7e—…]+$/)
      expect(error.message.length).toBeLessThan(700)
      expect(error.stack).toBe(`${error.name}: ${error.message}`)
      expect(Object.isFrozen(error.detail)).toBe(true)
    }
  })

  test('a bug is a failure like any other, and names its cause', async () => {
    const cause = new Error('broken clock')
    let calls = 0
    const now = () => {
      if (++calls === 2) throw cause
      return 0
    }
    const error = await failureOf(fetcher({ now }).fetch(from('http://127.0.0.1:1/')))
    expect([error.failure, error.cause]).toEqual(['internal', cause])
  })
})
