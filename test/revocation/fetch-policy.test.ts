/** Where URLs may lead: R-01 of the threats. Names are resolved by the tests; who is asked listens on loopback. */
import { describe, expect, jest, test } from '@jest/globals'
import { plainAddress } from '../../src/address-ranges.js'
import { ClientCertConfigError } from '../../src/errors.js'
import { limits } from '../../src/limits.js'
import { createDocumentFetcher, type FetchError, type FetcherOptions } from '../../src/revocation/document-fetcher.js'
import { FetchPolicy } from '../../src/revocation/fetch-policy.js'
import { configuredUrl } from '../../src/revocation/fetch-url.js'
import { failureOf, fetcher, from, outcomeOf } from '../support/fetching.js'
import { startResponder } from '../support/responder.js'

const document = Buffer.alloc(64, 'document')
const unasked = jest.fn(async (): Promise<readonly string[]> => {
  throw new Error('a name was resolved')
})

/** What becomes of a URL whose name has no address: which refusal, or that DNS was asked. */
async function fateOf(url: string, configured: boolean, options: FetcherOptions = {}): Promise<string> {
  const made = fetcher({ lookup: unasked, ...options })
  const { failure, detail } = await failureOf(made.fetch({ ...from(''), url, configured }))
  return failure.startsWith('refused') ? failure : `asked (${detail.phase})`
}

/** What becomes of an address, without a connection to it. */
function judgementOn(address: string, configured: boolean, ...allowPrivateNetworks: string[]): string {
  const policy = new FetchPolicy(['crl.example.test'], allowPrivateNetworks)
  try {
    return policy.acceptable(policy.target('http://crl.example.test/', configured), [address]).join()
  } catch (error) {
    return (error as FetchError).failure
  }
}

/** The host as the WHATWG URL standard, and Node, understand it; an address without brackets. */
const understood = (host: string) => new URL(`http://${host}`).hostname.replace(/^\[|\]$/g, '')

describe('R-01: URLs that are not fetched, whoever wrote them', () => {
  const refused: [why: string, url: string][] = [
    ['another scheme', 'ftp://crl.example.test/'],
    ['LDAP', 'ldap://crl.example.test/CN=CA?certificateRevocationList'],
    ['a file', 'file:///etc/passwd'],
    ['gopher', 'gopher://127.0.0.1:70/_x'],
    ['data', 'data:application/pkix-crl;base64,MAA='],
    ['no scheme', 'crl.example.test/ca.crl'],
    ['no scheme, but slashes', '//crl.example.test/ca.crl'],
    ['a scheme that begins alike', 'httpx://crl.example.test/'],
    ['user and password', 'http://user:password@crl.example.test/'],
    ['a user', 'http://user@crl.example.test/'],
    ['an empty user', 'http://@crl.example.test/'],
    ['a host in place of a user', 'http://crl.example.test@127.0.0.1/'],
    ['a user after a backslash', 'http://crl.example.test\\@127.0.0.1/'],
    ['a path after a backslash', 'http://127.0.0.1\\.crl.example.test/'],
    ['backslashes for slashes', 'http:\\\\crl.example.test/'],
    ['a missing slash', 'http:/crl.example.test/'],
    ['no slash', 'http:crl.example.test/'],
    ['three slashes', 'http:///crl.example.test/'],
    ['no host', 'http://'],
    ['no host, but a port', 'http://:80/'],
    ['port 0', 'http://crl.example.test:0/'],
    ['a port beyond', 'http://crl.example.test:65536/'],
    ['a port that is none', 'http://crl.example.test:x/'],
    ['a line break', 'http://crl.exa\nmple.test/'],
    ['a tab', 'http://crl.example.test/\tx'],
    ['a blank before', ' http://crl.example.test/'],
    ['a blank within', 'http://crl.example.test/a b'],
    ['a host that is not ASCII', 'http://crl.exämple.test/'],
    ['full-width digits', 'http://１２７.0.0.1/'],
    ['an ideographic full stop', 'http://127。0。0。1/'],
    ['two final dots', 'http://crl.example.test../'],
    ['an empty label', 'http://crl..example.test/'],
    ['a label of 64 octets', `http://${'a'.repeat(64)}.test/`],
    ['a name of 254 octets', `http://${'abcdefg.'.repeat(31)}abcdef/`],
    ['a label that begins with a hyphen', 'http://-crl.example.test/'],
    ['a percent in a host', 'http://crl%2Eexample%00.test/'],
    ['a number that is no address', 'http://256.1.1.1/'],
    ['an address with a zone', 'http://[fe80::1%25eth0]/'],
    ['an address that is none', 'http://[::1::]/'],
    ['an address of the future', 'http://[v1.fe80::]/'],
  ]
  test.each(refused)('%s: %s', async (_, url) => {
    expect(await fateOf(url, true)).toBe('refused-url')
    expect(await fateOf(url, false, { allowHosts: ['crl.example.test', '127.0.0.1'] })).toBe('refused-url')
    expect(() => configuredUrl('ocsp({ url })', url)).toThrow(ClientCertConfigError)
    expect(unasked).not.toHaveBeenCalled()
  })

  test(`${limits.fetchUrlCharacters} characters are a URL, one more is not`, async () => {
    const url = (length: number) => 'http://crl.example.test/'.padEnd(length, 'x')
    expect(await fateOf(url(limits.fetchUrlCharacters), true, { lookup: async () => [] })).toBe('asked (dns)')
    expect(await fateOf(url(limits.fetchUrlCharacters + 1), true)).toBe('refused-url')
  })

  test('what is no text is refused like any other', async () => {
    for (const url of [undefined, null, 7, {}, ['http://a.test/']])
      expect(await fateOf(url as never, true)).toBe('refused-url')
  })

  test('a URL that an operator wrote is checked when it is written', () => {
    expect(configuredUrl('ocsp({ url })', 'HTTP://OCSP.Example.test.:80/a?b#c')).toBe('http://ocsp.example.test/a?b')
    expect(() => configuredUrl('ocsp({ url })', 'ocsp.example.test')).toThrow(
      `ocsp({ url }): "ocsp.example.test": only http and https are fetched — write it as 'http://ocsp.example.com/'`,
    )
  })
})

describe('R-01: URLs of certificates are fetched from allowed hosts only', () => {
  const fate = (url: string, ...allowHosts: string[]) => fateOf(url, false, { allowHosts, lookup: async () => [] })

  test('by default from none, and nobody resolves their names', async () => {
    expect(await fateOf('http://crl.example.test/', false)).toBe('refused-host')
    expect(await fateOf('http://169.254.169.254/', false)).toBe('refused-host')
    expect(await fateOf('http://metadata.google.internal/', false, { allowHosts: ['crl.example.test'] })).toBe(
      'refused-host',
    )
    expect(unasked).not.toHaveBeenCalled()
  })

  const cases: [url: string, allowed: string, fate: 'asked (dns)' | 'refused-host'][] = [
    ['http://crl.example.test/', 'crl.example.test', 'asked (dns)'],
    ['https://crl.example.test/', 'crl.example.test', 'asked (dns)'],
    ['http://CRL.example.TEST./', 'crl.EXAMPLE.test', 'asked (dns)'],
    ['http://crl.example.test/', 'crl.example.test.', 'asked (dns)'],
    ['http://other.example.test/', 'crl.example.test', 'refused-host'],
    ['http://crl.example.test.evil.test/', 'crl.example.test', 'refused-host'],
    ['http://evilcrl.example.test/', 'crl.example.test', 'refused-host'],
    ['http://a.crl.example.test/', 'crl.example.test', 'refused-host'],
    ['http://a.example.test/', '.example.test', 'asked (dns)'],
    ['http://a.b.example.test/', '.example.test', 'asked (dns)'],
    ['http://example.test/', '.example.test', 'refused-host'],
    ['http://evilexample.test/', '.example.test', 'refused-host'],
    ['http://xn--crl-8la.test/', 'xn--crl-8la.test', 'asked (dns)'],
    // Ports: those of the scheme, unless one is written, and then that one only.
    ['http://crl.example.test:80/', 'crl.example.test', 'asked (dns)'],
    ['http://crl.example.test:22/', 'crl.example.test', 'refused-host'],
    ['http://crl.example.test:443/', 'crl.example.test', 'refused-host'],
    ['https://crl.example.test:80/', 'crl.example.test', 'refused-host'],
    ['http://crl.example.test:8080/', 'crl.example.test:8080', 'asked (dns)'],
    ['http://crl.example.test/', 'crl.example.test:8080', 'refused-host'],
    ['http://crl.example.test/', 'crl.example.test:80', 'asked (dns)'],
    ['http://a.example.test:8080/', '.example.test:8080', 'asked (dns)'],
    ['http://a.example.test:8081/', '.example.test:8080', 'refused-host'],
  ]
  test.each(cases)('%s where %s is allowed: %s', async (url, allowed, expected) => {
    expect(await fate(url, allowed)).toBe(expected)
  })

  test('one of several is enough', async () => {
    expect(await fate('http://crl.example.test/', 'ocsp.example.test', 'crl.example.test')).toBe('asked (dns)')
  })

  test('who wrote a URL is part of a request: the same URL of a certificate shares nothing with the operator’s', async () => {
    const responder = await startResponder({ answer: document })
    const made = fetcher()
    const [mine, theirs] = [made.fetch(from(responder)), made.fetch(from(responder, { configured: false }))]
    expect((await failureOf(theirs)).failure).toBe('refused-host')
    expect(await outcomeOf(mine, document)).toBe('intact')
  })
})

describe('R-01: addresses', () => {
  /** Nobody is there by default; never to be asked for, however it is written. */
  const never = [
    '169.254.169.254',
    '169.254.169.254.',
    '169.254.43518',
    '2852039166',
    '0xa9fea9fe',
    '0xA9.0xFE.0xA9.0xFE',
    '0251.0376.0251.0376',
    '%31%36%39.254.169.254',
    '[::ffff:169.254.169.254]',
    '[::ffff:a9fe:a9fe]',
    '[0:0:0:0:0:FFFF:A9FE:A9FE]',
    '[::169.254.169.254]',
    '[64:ff9b::169.254.169.254]',
    '[2002:a9fe:a9fe::1]',
    '[2001:0:a9fe:a9fe::1]',
    '[fd00:ec2::254]',
    '169.254.0.1',
    '[fe80::1]',
    '100.100.100.200',
    '168.63.129.16',
    '0.0.0.0',
    '0',
    '[::]',
    '[::ffff:0.0.0.0]',
    '224.0.0.1',
    '[ff02::1]',
    '255.255.255.255',
  ]
  /** Where a private CA may be: the operator may say so. */
  const inner = [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.0.1',
    '100.64.0.1',
    '198.18.0.1',
    '192.0.2.1',
    '240.0.0.1',
    '[fd00::1]',
    '[2001:db8::1]',
    '[64:ff9b:1::1]',
  ]

  test.each(never)('http://%s/ is not asked, not even for the operator', async (host) => {
    expect(await fateOf(`http://${host}/`, true)).toBe('refused-address')
    const allowHosts = [new URL(`http://${host}`).hostname]
    expect(await fateOf(`http://${host}/`, false, { allowHosts })).toBe('refused-address')
    expect(judgementOn(understood(host), true)).toBe('refused-address')
    expect(judgementOn(understood(host), false)).toBe('refused-address')
  })

  test.each(inner)('%s is asked for the operator, not for a certificate', async (host) => {
    const allowHosts = [new URL(`http://${host}`).hostname]
    expect(await fateOf(`http://${host}/`, false, { allowHosts })).toBe('refused-address')
    expect(judgementOn(understood(host), false)).toBe('refused-address')
    expect(judgementOn(understood(host), true)).toBe(plainAddress(understood(host)))
    expect(judgementOn(understood(host), false, plainAddress(understood(host)) as string)).not.toBe('refused-address')
  })

  test.each(['8.8.8.8', '2606:4700::1111', '64:ff9b::8.8.8.8'])('%s is asked for anybody', (address) => {
    expect(judgementOn(address, true)).toBe(plainAddress(address))
    expect(judgementOn(address, false)).toBe(plainAddress(address))
  })

  test('a network the operator names is asked for a certificate, too; its neighbour is not', async () => {
    const responder = await startResponder({ answer: document })
    const url = `http://crl.example.test:${responder.port}/`
    const allowHosts = [`crl.example.test:${responder.port}`]
    const outcome = (...allowPrivateNetworks: string[]) => {
      const options = { allowHosts, allowPrivateNetworks, lookup: async () => ['127.0.0.1'] }
      return outcomeOf(fetcher(options).fetch(from(url, { configured: false })), document)
    }
    expect(await outcome('127.0.0.2', '10.0.0.0/8', '::1')).toBe('refused-address')
    expect(responder.accepted).toBe(0)
    expect(await outcome('127.0.0.0/30')).toBe('intact')
  })

  test('allowPrivateNetworks reaches what even the operator’s URLs do not', () => {
    expect(judgementOn('169.254.169.254', true, '169.254.0.0/16')).toBe('169.254.169.254')
    expect(judgementOn('169.254.169.254', true, '169.254.0.0/17')).toBe('refused-address')
  })

  test('an IPv4 address within IPv6 is in an IPv4 network only where it is that address', () => {
    const judgement = (address: string) => judgementOn(address, false, '127.0.0.0/8')
    expect(judgement('::ffff:127.0.0.1')).toBe('127.0.0.1')
    for (const address of ['64:ff9b::127.0.0.1', '2002:7f00:1::', '::127.0.0.1', '::ffff:0:127.0.0.1']) {
      expect(judgement(address)).toBe('refused-address')
    }
  })

  test('the refusal names the address, its kind, and the fix', async () => {
    const options = { lookup: async () => ['fe80::5'] }
    const { message } = await failureOf(fetcher(options).fetch(from('http://crl.example.test/')))
    expect(message).toBe(
      `"http://crl.example.test/" was not fetched: its host has the link-local address fe80::5 — allowPrivateNetworks: ['fe80::5'] if that is where it should lead`,
    )
  })
})

describe('R-01: DNS', () => {
  /** 127.0.0.1 is allowed, and stands for a public address; ::1 is not, and stands for an inner one. */
  const rebinding = async (...answers: string[][]) => {
    const responder = await startResponder({ answer: document })
    const lookup = jest.fn(async () => answers[Math.min(lookup.mock.calls.length, answers.length) - 1] ?? [])
    const options = { allowHosts: [`.example.test:${responder.port}`], allowPrivateNetworks: ['127.0.0.0/8'], lookup }
    const made = fetcher(options)
    const fetchOnce = () =>
      outcomeOf(made.fetch(from(`http://crl.example.test:${responder.port}/`, { configured: false })), document)
    return { responder, lookup, fetchOnce }
  }

  test('rebinding: a name is resolved once, and the connection goes to what was judged', async () => {
    const { responder, lookup, fetchOnce } = await rebinding(['127.0.0.1'], ['::1'])
    expect(await fetchOnce()).toBe('intact')
    expect([lookup.mock.calls.length, responder.accepted]).toEqual([1, 1])
    expect(await fetchOnce()).toBe('refused-address')
    expect([lookup.mock.calls.length, responder.accepted]).toEqual([2, 1])
  })

  test.each([
    [['127.0.0.1', '::1']],
    [['::1', '127.0.0.1']],
    [['127.0.0.1', '127.0.0.1', '10.0.0.1']],
    [['127.0.0.1', '::ffff:169.254.169.254']],
    [['127.0.0.1', 'fe80::1%eth0']],
    [['127.0.0.1', '127.0.0.1%lo']],
    [['127.0.0.1', 'localhost']],
    [['127.0.0.1', '']],
  ])('a name with one address that is not acceptable is not asked at any: %j', async (addresses) => {
    const { responder, fetchOnce } = await rebinding(addresses)
    expect(await fetchOnce()).toBe('refused-address')
    expect(responder.accepted).toBe(0)
  })

  test('where all are acceptable, one that answers is enough', async () => {
    const responder = await startResponder({ answer: document })
    const lookup = async () => ['::1', '127.0.0.1']
    const made = fetcher({ lookup })
    expect(await outcomeOf(made.fetch(from(`http://crl.example.test:${responder.port}/`)), document)).toBe('intact')
  })

  test('nobody but the lookup is asked about a name, and it not about addresses', async () => {
    const responder = await startResponder({ answer: document })
    const lookup = jest.fn(async () => ['127.0.0.1'])
    const made = fetcher({ lookup })
    expect(await outcomeOf(made.fetch(from(`http://no.such.name.invalid:${responder.port}/`)), document)).toBe('intact')
    expect(await outcomeOf(made.fetch(from(responder)), document)).toBe('intact')
    expect(lookup.mock.calls).toEqual([['no.such.name.invalid']])
  })

  test('the system resolves where no lookup is given', async () => {
    const responder = await startResponder({ answer: document })
    const made = fetcher()
    expect(await outcomeOf(made.fetch(from(`http://localhost:${responder.port}/`)), document)).toBe('intact')
  })

  test.each<[what: string, lookup: () => unknown, code: string | undefined]>([
    ['no address', async () => [], undefined],
    ['a failure', async () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' })), 'ENOTFOUND'],
    [
      'an exception',
      () => {
        throw new Error('broken')
      },
      undefined,
    ],
    ['a rejection with nothing', () => Promise.reject(undefined), undefined],
    ['nothing', async () => undefined, undefined],
    ['something else', async () => 'localhost', undefined],
    ['a list of something else', async () => [{ address: '127.0.0.1' }], undefined],
  ])('a lookup that answers with %s is a failure of DNS', async (_, lookup, code) => {
    const error = await failureOf(fetcher({ lookup: lookup as never }).fetch(from('http://crl.example.test/')))
    expect([error.failure, error.detail.phase, error.detail.code]).toEqual(['dns', 'dns', code])
  })

  test(`${limits.resolvedAddresses} addresses are judged, one more is refused`, async () => {
    const responder = await startResponder({ answer: document })
    const outcome = (count: number) => {
      const lookup = async () => Array<string>(count).fill('127.0.0.1')
      return outcomeOf(fetcher({ lookup }).fetch(from(`http://crl.example.test:${responder.port}/`)), document)
    }
    expect(await outcome(limits.resolvedAddresses)).toBe('intact')
    expect(await outcome(limits.resolvedAddresses + 1)).toBe('dns')
  })
})

describe('options that cannot be meant stop the start', () => {
  const cases: [options: unknown, said: string][] = [
    [null, 'expected options'],
    [{ allowHost: [] }, 'Did you mean "allowHosts"?'],
    [{ allowHosts: undefined }, 'allowHosts: is undefined'],
    [{ allowHosts: 'crl.example.test' }, 'allowHosts: expected a list'],
    [{ allowHosts: [undefined] }, 'expected host names, got undefined'],
    [{ allowHosts: ['*.example.test'] }, "'.example.com' allows what lies below it"],
    [{ allowHosts: ['*'] }, 'has a wildcard'],
    [{ allowHosts: [''] }, '"" is no host'],
    [{ allowHosts: ['.'] }, 'is no host'],
    [{ allowHosts: ['..example.test'] }, 'is no host'],
    [{ allowHosts: ['http://crl.example.test'] }, 'is no host'],
    [{ allowHosts: ['crl.example.test/ca.crl'] }, 'is no host'],
    [{ allowHosts: ['crl.exämple.test'] }, 'is no host'],
    [{ allowHosts: ['user@crl.example.test'] }, 'is no host'],
    [{ allowHosts: ['127.1'] }, 'is no host'],
    [{ allowHosts: ['.127.0.0.1'] }, 'is no host'],
    [{ allowHosts: ['::1'] }, 'is no host'],
    [{ allowHosts: ['10.0.0.0/8'] }, 'is no host'],
    [{ allowHosts: ['crl.example.test:0'] }, 'no such port'],
    [{ allowHosts: ['crl.example.test:65536'] }, 'no such port'],
    [{ allowHosts: ['crl.example.test:'] }, 'is no host'],
    [{ allowPrivateNetworks: ['localhost'] }, "allowPrivateNetworks: ['localhost'] is neither an address nor a range"],
    [{ allowPrivateNetworks: ['10.0.0.0/33'] }, 'at most 32 bits'],
    [{ allowPrivateNetworks: ['0.0.0.0/0'] }, 'wider than any private network'],
    [{ allowPrivateNetworks: ['10.0.0.0/7'] }, 'wider than any private network'],
    [{ allowPrivateNetworks: ['::/0'] }, 'wider than any private network'],
    [{ allowPrivateNetworks: ['fc00::/6'] }, 'wider than any private network'],
    [{ allowPrivateNetworks: [undefined] }, 'expected addresses, got nothing'],
    [{ timeoutMilliseconds: 0 }, 'timeoutMilliseconds: expected a whole number from 1 to 60000, got 0'],
    [{ timeoutMilliseconds: 60_001 }, 'got 60001'],
    [{ timeoutMilliseconds: '3000' }, 'expected a whole number'],
    [{ timeoutMilliseconds: Number.NaN }, 'got NaN'],
    [{ concurrencyPerHost: 0 }, 'from 1 to 64'],
    [{ concurrencyPerHost: 65 }, 'from 1 to 64'],
    [{ concurrencyPerHost: 1.5 }, 'got 1.5'],
    [{ failureMilliseconds: -1 }, 'from 0 to 60000'],
    [{ now: 5 }, 'now: expected a function'],
    [{ lookup: {} }, 'lookup: expected a function'],
    [{ ca: undefined }, 'ca: is undefined'],
    [{ ca: '' }, 'ca: is empty'],
    [{ ca: [] }, 'ca: is an empty list'],
    [{ ca: './ca.pem' }, 'ca: line 1: text outside of a block'],
    [{ ca: [Buffer.alloc(5, 0x30)] }, 'ca'],
    [{ ca: {} }, 'expected PEM text or DER octets'],
  ]
  test.each(cases)('%j: %s', (options, said) => {
    const make = () => createDocumentFetcher(options as FetcherOptions)
    expect(make).toThrow(ClientCertConfigError)
    expect(make).toThrow(said)
  })

  test('the widest that are accepted', () => {
    const most = { timeoutMilliseconds: 60_000, concurrencyPerHost: 64, failureMilliseconds: 60_000 }
    createDocumentFetcher({ ...most, allowPrivateNetworks: ['10.0.0.0/8', 'fc00::/7'] }).close()
    createDocumentFetcher({ timeoutMilliseconds: 1, concurrencyPerHost: 1, failureMilliseconds: 0 }).close()
    createDocumentFetcher({ allowHosts: ['192.0.2.7', '[2001:db8::1]:8080', '.test', 'my_host'] }).close()
    createDocumentFetcher().close()
  })
})
