import { writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { limits } from '../../src/limits.js'
import { crl } from '../../src/revocation/crl-checker.js'
import { type CrlOptions, crlOptionNames, resolveCrlOptions } from '../../src/revocation/crl-options.js'
import { createTestPki } from '../../src/testing.js'
import { temporaryFolder, thrownBy } from '../support/pki.js'
import { closing } from '../support/revocation.js'

const at = temporaryFolder()
const file = at('good.crl')

const { crl: issueCrl, trust } = await createTestPki()

beforeAll(async () => {
  writeFileSync(file, (await issueCrl()).pem)
})

describe('crl(): what may be written', () => {
  test.each<{ name: string; given: unknown; says: string }>([
    { name: 'nothing', given: undefined, says: "expected options — crl({ files: './clients.crl' })" },
    { name: 'a list', given: ['./clients.crl'], says: 'expected options' },
    { name: 'a path', given: './clients.crl', says: 'expected options' },
    { name: 'no source', given: {}, says: "no source of CRLs — crl({ files: './clients.crl' }), or directory, urls" },
    { name: 'only leafOnly', given: { leafOnly: true }, says: 'no source of CRLs' },
    { name: 'a misspelt option', given: { file: 'x' }, says: 'unknown option "file". Did you mean "files"?' },
    { name: 'an option that nobody has', given: { softFail: true }, says: 'unknown option "softFail". Known: files' },
    {
      name: 'an undefined one, as of a variable that is not set',
      given: { files: file, maxAge: undefined },
      says: 'maxAge is undefined — leave the option out, or give it a value',
    },
    { name: 'files: undefined', given: { files: undefined }, says: 'files is undefined' },
    { name: 'an empty path', given: { files: '' }, says: 'files is not a text or a list of texts: ""' },
    { name: 'an empty list', given: { files: [] }, says: 'files is not a text or a list of texts: an empty list' },
    { name: 'a hole in the list', given: { files: [file, undefined] }, says: 'a list with 2 items' },
    { name: 'octets', given: { files: Buffer.from('x') }, says: 'files is not a text or a list of texts: an object' },
    { name: 'a number', given: { files: 1n }, says: 'files is not a text or a list of texts: 1' },
    { name: 'an empty directory name', given: { directory: '' }, says: 'directory is not a path' },
    { name: 'directories', given: { directory: ['a'] }, says: 'directory is not a path' },
    { name: 'no urls', given: { urls: [] }, says: 'urls is not a text or a list of texts: an empty list' },
    {
      name: 'ldap',
      given: { urls: 'ldap://crl.corp/cn=x' },
      says: 'crl: urls: "ldap://crl.corp/cn=x": only http and https',
    },
    { name: 'a file URL', given: { urls: ['file:///etc/x.crl'] }, says: 'only http and https are fetched' },
    { name: 'user information', given: { urls: 'http://u:p@crl.corp/' }, says: 'user information before its host' },
    { name: 'a URL without host', given: { urls: 'http:///x.crl' }, says: 'it is not a URL' },
    {
      name: 'fromCertificate without hosts',
      given: { fromCertificate: true },
      says: "a certificate may name any host — say which are asked: allowHosts: ['crl.example.com']",
    },
    { name: 'fromCertificate: 1', given: { fromCertificate: 1 }, says: 'fromCertificate is true or false, got 1' },
    {
      name: 'hosts without fromCertificate',
      given: { files: file, allowHosts: ['crl.corp'] },
      says: 'allowHosts is about the addresses in certificates — add fromCertificate: true',
    },
    { name: 'a wildcard host', given: { fromCertificate: true, allowHosts: ['*.corp'] }, says: 'has a wildcard' },
    { name: 'a URL as host', given: { fromCertificate: true, allowHosts: ['http://a/'] }, says: 'is no host' },
    {
      name: 'networks with files only',
      given: { files: file, allowPrivateNetworks: ['10.0.0.0/8'] },
      says: 'allowPrivateNetworks is about CRLs that are fetched — add urls, or fromCertificate: true',
    },
    {
      name: 'a CA of https servers with files only',
      given: { files: file, ca: trust },
      says: 'ca is about https servers that CRLs are fetched from — add urls, or fromCertificate: true',
    },
    { name: 'a path for a CA', given: { urls: 'https://crl.corp/', ca: './ca.pem' }, says: 'ca: line 1: text outside' },
    { name: 'no CA at all', given: { urls: 'https://crl.corp/', ca: [] }, says: 'ca: is an empty list' },
    {
      name: 'a CA that is a number',
      given: { urls: 'https://crl.corp/', ca: [5] },
      says: 'ca: expected PEM text or DER',
    },
    {
      name: 'the whole internet as private network',
      given: { urls: 'http://crl.corp/', allowPrivateNetworks: ['0.0.0.0/0'] },
      says: 'is wider than any private network',
    },
    {
      name: 'leafOnly: "true"',
      given: { files: file, leafOnly: 'true' },
      says: 'leafOnly is true or false, got "true"',
    },
    { name: 'watch: 0', given: { files: file, watch: 0 }, says: 'watch is true or false, got 0' },
    { name: 'maxAge: 0', given: { files: file, maxAge: 0 }, says: 'maxAge is a positive number of seconds, got 0' },
    { name: 'a negative maxAge', given: { files: file, maxAge: -1 }, says: 'maxAge is a positive number' },
    { name: 'maxAge as text', given: { files: file, maxAge: '1d' }, says: 'of seconds, got "1d"' },
    { name: 'maxAge: NaN', given: { files: file, maxAge: Number.NaN }, says: 'of seconds, got NaN' },
    { name: 'maxAge: Infinity', given: { files: file, maxAge: Number.POSITIVE_INFINITY }, says: 'got Infinity' },
    { name: 'half an octet', given: { files: file, maximumBytes: 0.5 }, says: 'maximumBytes is a whole number from 1' },
    {
      name: 'more octets than are read',
      given: { files: file, maximumBytes: limits.crlBytes + 1 },
      says: `maximumBytes is a whole number from 1 to ${limits.crlBytes}`,
    },
    {
      name: 'no time to fetch',
      given: { urls: 'http://crl.corp/', timeoutMilliseconds: 0 },
      says: 'timeoutMilliseconds is a whole number from 1 to 60000, got 0',
    },
    { name: 'a clock that is a number', given: { files: file, now: 5 }, says: 'now is not a function' },
  ])('$name is refused, with the fix', ({ given, says }) => {
    jest.useFakeTimers()
    try {
      const message = thrownBy(() => crl(given as CrlOptions))
      expect(message).toMatch(/^ClientCertConfigError: (crl|allowHosts|allowPrivateNetworks): /)
      expect(message).toContain(says)
      // Nothing was started, or it was stopped.
      expect(jest.getTimerCount()).toBe(0)
    } finally {
      jest.useRealTimers()
    }
  })

  test('every option is one that is known, and none that is known is refused', () => {
    const all: Required<CrlOptions> = {
      files: [file],
      directory: at(),
      urls: ['http://crl.corp/a.crl'],
      fromCertificate: true,
      allowHosts: ['crl.corp'],
      allowPrivateNetworks: ['10.0.0.0/8'],
      ca: trust,
      leafOnly: true,
      maxAge: 3_600,
      watch: false,
      maximumBytes: limits.crlBytes,
      timeoutMilliseconds: 60_000,
      now: () => 0,
    }
    expect(Object.keys(all).sort()).toEqual([...crlOptionNames].sort())
    expect(resolveCrlOptions(all)).toMatchObject({ maxAge: 3_600_000, leafOnly: true, files: [file] })
  })

  test('left out, nothing is fetched, everything is asked about, and nextUpdate decides', () => {
    expect(resolveCrlOptions({ files: file })).toMatchObject({
      files: [file],
      urls: [],
      fromCertificate: false,
      leafOnly: false,
      maxAge: Number.POSITIVE_INFINITY,
      watch: true,
      maximumBytes: limits.crlBytes,
      timeoutMilliseconds: limits.fetchMilliseconds,
    })
  })

  test('what was given is not changed afterwards, and what is given twice is there once', () => {
    const files = [file, file]
    const settings = resolveCrlOptions({ files })
    files.push('./other.crl')
    expect(settings.files).toEqual([file])
  })

  test('a clock that fails is no time, and no exception from within a timer', () => {
    const broken = () => {
      throw new Error('no clock')
    }
    expect(resolveCrlOptions({ files: file, now: broken }).now()).toBeNaN()
    expect(resolveCrlOptions({ files: file, now: (() => 'noon') as never }).now()).toBeNaN()
  })

  test('its name tells where its CRLs come from, shortly', () => {
    const name = (options: CrlOptions) => closing(crl({ watch: false, ...options })).name
    expect(name({ files: file })).toBe(`crl (${file})`)
    const options = { fromCertificate: true, allowHosts: ['crl.corp'] }
    expect(name(options)).toBe('crl (what certificates name)')
    const urls = ['http://127.0.0.1:1/a', 'http://127.0.0.1:1/b', 'http://127.0.0.1:1/c']
    expect(name({ ...options, urls })).toBe(`crl (${urls.join(', ')} and 1 more)`)
  })
})
