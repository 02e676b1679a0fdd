/** Rules as data: what they mean, where their mistakes are, and how they change. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { ClientCertConfigError } from '../../src/errors.js'
import type { ClientIdentity } from '../../src/identity/identity.js'
import { createAuthenticator, rules } from '../../src/index.js'
import { limits } from '../../src/limits.js'
import type { Rule } from '../../src/rules/rule.js'
import { type RuleDocument, ruleFromText, vocabulary } from '../../src/rules/rule-document.js'
import { createTestPki, type IssueOptions, type TestPki } from '../../src/testing.js'
import { identityOf, noon, present, temporaryFolder, thrownBy } from '../support/pki.js'

const folder = temporaryFolder()
let pki: TestPki
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
})

const of = async (options: IssueOptions): Promise<ClientIdentity> =>
  identityOf(await pki.issue(options), { trust: { partners: pki.trust } })
const holds = async (rule: Rule, identity: ClientIdentity) =>
  (await rule.evaluate(identity, undefined, noon.getTime())).holds

const schema = JSON.parse(readFileSync(join(import.meta.dirname, '../../rules.schema.json'), 'utf8'))
const isValid = new Ajv2020({ strict: true, strictRequired: false, allErrors: true }).compile(schema)

describe('a document is the rules it stands for', () => {
  const fingerprint = 'ab'.repeat(32)
  const pin = `${'A'.repeat(43)}=`
  const rows: [document: RuleDocument, rule: string][] = [
    [{ allow: { commonName: 'a' } }, 'commonName("a")'],
    [{ allow: { commonName: ['a', 'b'], anchor: 'p' } }, 'all(any(commonName("a"), commonName("b")), anchor("p"))'],
    [
      { allow: { any: [{ uri: 'urn:a' }, { all: [{ upn: 'a@b' }, { email: 'a@b.test' }] }] } },
      'any(uri("urn:a"), all(upn("a@b"), email("a@b.test")))',
    ],
    [{ allow: { not: { ip: '10.0.0.0/8' } } }, 'not(ip("10.0.0.0/8"))'],
    [{ allow: 'everyone', deny: [{ fingerprint }] }, `all(everyone(), deny(fingerprint("${fingerprint}")))`],
    [
      { allow: { any: [{ deny: { dnsName: 'x.test' } }, { trustDomain: 'acme.test' }] } },
      'any(deny(dnsName("x.test")), trustDomain("acme.test"))',
    ],
    [{ allow: { subject: { O: 'Acme', OU: ['a'] } } }, 'subject({"O":"Acme","OU":["a"]})'],
    [
      { allow: { directoryName: 'CN=a', issuerName: { CN: 'b' } } },
      'all(directoryName("CN=a"), issuerName({"CN":"b"}))',
    ],
    [{ allow: { serialNumber: '0A', issuedBy: fingerprint } }, `all(serialNumber("0A"), issuedBy("${fingerprint}"))`],
    [
      { allow: { publicKeyPin: pin, spiffeId: 'spiffe://a/b/*' } },
      `all(publicKeyPin("${pin}"), spiffeId("spiffe://a/b/*"))`,
    ],
    [
      { allow: { certificatePolicy: '1.2.3', extendedKeyUsage: 'clientAuth', keyAlgorithm: ['P-256', 'RSA-3072'] } },
      'all(certificatePolicy("1.2.3"), extendedKeyUsage("clientAuth"), any(keyAlgorithm("P-256"), keyAlgorithm("RSA-3072")))',
    ],
    [{ allow: { maximumLifetime: '90d', validFor: '1h' } }, 'all(maximumLifetime("90d"), validFor("1h"))'],
    [{ allow: { extension: { oid: '1.2.3', value: '0500' } } }, 'extension("1.2.3", "0500")'],
    [{ identities: [] }, 'nobody()'],
    [{ allow: { any: [] } }, 'nobody()'],
    [{ allow: { commonName: [] } }, 'nobody()'],
    [{ $schema: 'x', description: 'y', deny: [], allow: { commonName: 'a' } }, 'commonName("a")'],
    [
      {
        identities: [
          { thumbprint: fingerprint },
          { commonName: 'a', issuerSubject: 'CN=b', dnsName: 'c.test' },
          { serialNumber: '1', issuerThumbprint: fingerprint, subject: 'CN=a' },
        ],
      },
      `any(fingerprint("${fingerprint}"), all(commonName("a"), issuerName("CN=b"), dnsName("c.test")), all(serialNumber("1"), issuedBy("${fingerprint}"), subject("CN=a")))`,
    ],
  ]
  test.each(rows)('%j', (document, written) => {
    expect(rules.document(document).description).toBe(written)
    expect(ruleFromText('rules', JSON.stringify(document, null, 2)).description).toBe(written)
    expect([document, isValid(document)]).toEqual([document, true])
  })

  test('every word of the vocabulary is in a row above, in the schema, and names a rule', () => {
    const words = Object.keys(vocabulary)
    const text = JSON.stringify(rows)
    expect(words.filter((word) => !text.includes(`"${word}":`))).toEqual([])
    const described = Object.keys(schema.$defs.condition.properties)
    expect(described.sort()).toEqual([...words, 'all', 'any', 'not', 'deny'].sort())
    const aliases = ['thumbprint', 'issuerSubject', 'issuerThumbprint']
    expect(words.filter((word) => !(word in rules)).sort()).toEqual(aliases.sort())
  })

  test('C-09: an empty list is nobody', async () => {
    const identity = await of({ subject: 'CN=a' })
    for (const nobody of [{ identities: [] }, { allow: { any: [] } }, { allow: { commonName: [] } }]) {
      expect(await holds(rules.document(nobody), identity)).toBe(false)
    }
    expect(await holds(rules.document({ allow: 'everyone' }), identity)).toBe(true)
  })
})

describe('APIM: identities are AND inside, OR between', () => {
  const editors = () =>
    rules.document({
      identities: [
        { commonName: 'alice', issuerSubject: 'CN=Test Intermediate CA' },
        { dnsName: 'b.test', subject: 'CN=bob' },
      ],
    })
  test.each<[string, IssueOptions, boolean]>([
    ['the first', { subject: 'CN=alice' }, true],
    ['the second', { subject: 'CN=bob', names: { dns: ['b.test'] } }, true],
    ['half of the second', { subject: 'CN=bob' }, false],
    ['the other half of the second', { subject: 'CN=carol', names: { dns: ['b.test'] } }, false],
    ['half of each', { subject: 'CN=alice2', names: { dns: ['b.test'] } }, false],
  ])('%s', async (_, options, expected) => {
    expect(await holds(editors(), await of(options))).toBe(expected)
  })

  test('a wildcard is the one in the certificate, and so no other host', async () => {
    const given = { dnsName: '*.acme.test' }
    for (const identities of [[given], [{ dnsName: ['a.test', '*.acme.test'] }]]) {
      expect(thrownBy(() => rules.document({ identities }))).toMatch(/identities\[0\]\.dnsName.*name the hosts/)
    }
    const host = await of({ names: { dns: ['a.acme.test'] } })
    expect(await holds(rules.document({ identities: [{ dnsName: 'a.acme.test' }] }), host)).toBe(true)
    expect(await holds(rules.document({ allow: given }), host)).toBe(true)
  })

  test('a SHA-1 thumbprint is told to move, and holds behind the named switch only', async () => {
    const alice = await pki.issue()
    const { createHash } = await import('node:crypto')
    const thumbprint = createHash('sha1').update(alice.certificate.der).digest('hex').toUpperCase()
    const given = { identities: [{ thumbprint }] }
    expect(thrownBy(() => rules.document(given))).toMatch(
      /rules: identities\[0\]\.thumbprint: fingerprint\(.*is SHA-1 \(20 bytes\) — use SHA-256/,
    )
    const rule = rules.document(given, { dangerouslyAllowSha1Thumbprints: true })
    expect(await holds(rule, await identityOf(alice, { trust: pki.trust }))).toBe(true)
    expect(await holds(rule, await of({}))).toBe(false)
    expect(
      thrownBy(() =>
        rules.document({ identities: [{ issuerThumbprint: thumbprint }] }, { dangerouslyAllowSha1Thumbprints: true }),
      ),
    ).toMatch(/is SHA-1/)
  })
})

describe('a mistake has a place', () => {
  const text = (...lines: string[]) => lines.join('\n')
  test.each<[string, string, string]>([
    [
      'an unknown key',
      text('{', '  "allow": {', '    "comonName": "a"', '  }', '}'),
      'line 3, column 5: allow: unknown key "comonName". Did you mean "commonName"?',
    ],
    [
      'an unknown key of an identity',
      '{"identities":[{"fingerprint":"x"}]}',
      'line 1, column 17: identities[0]: unknown key "fingerprint"',
    ],
    ['an unknown key of the document', '{"alow":{}}', 'line 1, column 2: unknown key "alow". Did you mean "allow"?'],
    ['I-11: __proto__', '{"__proto__":{"allow":"everyone"},"allow":{"commonName":"a"}}', 'unknown key "__proto__"'],
    ['I-11: constructor', '{"allow":{"constructor":"a"}}', 'unknown key "constructor"'],
    [
      'a wrong value',
      text('{"allow":', ' {"dnsName": ["a.test", "*"]}}'),
      'line 2, column 25: allow.dnsName[1]: dnsName("*")',
    ],
    [
      'an undefined meaning',
      '{"allow":{"commonName":null}}',
      'line 1, column 24: allow.commonName: expected a text, got null',
    ],
    ['a number', '{"allow":{"serialNumber":12}}', 'allow.serialNumber: expected a text, got number'],
    ['an empty condition', '{"allow":{}}', 'allow: is empty, and would hold for everyone'],
    ['an empty all', '{"allow":{"all":[]}}', 'allow.all: is empty, and would hold for everyone'],
    ['an empty identity', '{"identities":[{}]}', 'identities[0]: is empty, and would hold for everyone'],
    ['an empty subset', '{"allow":{"subject":{}}}', 'asks for nothing'],
    ['nobody to admit', '{"deny":[{"commonName":"a"}]}', 'line 1, column 1: says nobody who is admitted'],
    ['two ways to admit', '{"allow":"everyone","identities":[]}', 'has both "allow" and "identities"'],
    ['another word for everyone', '{"allow":"*"}', 'allow: expected an object, got a text'],
    ['a list for an object', '[]', 'line 1, column 1: expected an object, got a list'],
    ['an object for a list', '{"allow":{"any":{}}}', 'allow.any: expected a list, got an object'],
    ['a list of durations', '{"allow":{"validFor":["1h"]}}', 'allow.validFor: expected one value, got a list'],
    [
      'a denial turned round',
      '{"allow":{"not":{"deny":{"commonName":"a"}}}}',
      'allow.not: not(deny(commonName("a"))): a denial turned round',
    ],
    [
      'denials only',
      '{"allow":{"any":[{"deny":{"commonName":"a"}}]}}',
      'allow.any: any(deny(commonName("a"))) admits nobody',
    ],
    [
      'an extension in decimal',
      '{"allow":{"extension":{"oid":"1.2.3","value":"5"}}}',
      'allow.extension: extension: expected',
    ],
  ])('%s', (_, document, says) => {
    const message = thrownBy(() => ruleFromText('rules: p.json', document))
    expect(message.startsWith('ClientCertConfigError: rules: p.json: line ')).toBe(true)
    expect(message).toContain(says)
    expect(message.match(/rules: p\.json/g)).toHaveLength(1)
  })

  test.each<[string, string]>([
    ['', 'line 1, column 1: the document ends too early'],
    ['{', 'line 1, column 2: expected a name in quotation marks'],
    ['{"allow"', 'expected ":"'],
    ['{"allow":}', 'unexpected "}"'],
    ['{"allow":"everyone",}', 'line 1, column 21: expected a name in quotation marks'],
    ["{'allow':1}", 'expected a name in quotation marks'],
    ['{"allow":"everyone"} x', 'line 1, column 22: something follows the document'],
    ['{"allow":"everyone"}{}', 'something follows the document'],
    ['{"allow":{"commonName":"a"},\n "allow":"everyone"}', 'line 2, column 2: "allow" stands here twice'],
    ['{"allow":{"commonName":"a","commonName":"b"}}', 'line 1, column 28: "commonName" stands here twice'],
    ['{"allow":{"commonName":"a\u0001"}}', 'the text is not closed, or holds what must be escaped'],
    ['{"allow":{"commonName":"a\\x"}}', 'the text is not closed, or holds what must be escaped'],
    ['{"allow":"everyone"', 'expected "," or "}"'],
    ['{"deny":[1 2]}', 'expected "," or "]"'],
    ['{"allow":01}', 'unexpected "0"'],
    ['{"allow":NaN}', 'unexpected "N"'],
    ['\ufeff{"allow":"everyone"}', 'unexpected'],
    ['{/* */"allow":"everyone"}', 'expected a name in quotation marks'],
  ])('what is no JSON: %j', (document, says) => {
    expect(thrownBy(() => ruleFromText('rules', document))).toContain(says)
  })

  test('limits.documentDepth', () => {
    const nested = (depth: number) => `${'{"not":'.repeat(depth)}{"commonName":"a"}${'}'.repeat(depth)}`
    expect(() => ruleFromText('rules', `{"allow":${nested(limits.documentDepth - 2)}}`)).not.toThrow()
    expect(thrownBy(() => ruleFromText('rules', `{"allow":${nested(limits.documentDepth - 1)}}`))).toMatch(
      /nested more than 64 deep/,
    )
    expect(thrownBy(() => ruleFromText('rules', '['.repeat(100_000)))).toMatch(/nested more than 64 deep/)
    let value: object = { commonName: 'a' }
    for (let i = 0; i < 70; i++) value = { not: value }
    expect(thrownBy(() => rules.document({ allow: value as never }))).toMatch(/nested more than 64 deep/)
  })

  test('places are found in large documents in linear time', () => {
    const many = Array.from({ length: 20_000 }, (_, i) => `{"commonName":"c${i}"}`)
    const document = `{"identities":[\n${many.join(',\n')},\n{"comonName":"x"}]}`
    const start = process.cpuUsage().user
    expect(thrownBy(() => ruleFromText('rules', document))).toContain(
      'line 20002, column 2: identities[20000]: unknown key',
    )
    expect(process.cpuUsage(undefined).user - start).toBeLessThan(5_000_000)
  })

  test('the schema refuses what the reader refuses, where a schema can say it', () => {
    for (const document of [
      {},
      [],
      { allow: {} },
      { allow: { comonName: 'a' } },
      { allow: { commonName: null } },
      { allow: '*' },
      { allow: { all: [] } },
      { identities: [{}] },
      { identities: [{ fingerprint: 'x' }] },
      { allow: 'everyone', identities: [] },
      { allow: { validFor: ['1h'] } },
      { allow: { validFor: 'soon' } },
      { deny: [] },
    ]) {
      expect([document, isValid(document)]).toEqual([document, false])
      expect(() => rules.document(document as never)).toThrow(ClientCertConfigError)
    }
  })
})

describe('a document in a file', () => {
  const write = (name: string, document: unknown) =>
    writeFileSync(folder(name), typeof document === 'string' ? document : JSON.stringify(document))

  test('is replaced whole by reload(), or not at all', async () => {
    const [alice, bob] = [await of({ subject: 'CN=alice' }), await of({ subject: 'CN=bob' })]
    write('r.json', { identities: [{ commonName: 'alice' }] })
    const rule = rules.document({ file: folder('r.json'), watch: false })
    expect([await holds(rule, alice), await holds(rule, bob)]).toEqual([true, false])
    write('r.json', { deny: [{ commonName: 'alice' }], allow: 'everyone' })
    rule.reload()
    expect([await holds(rule, alice), await holds(rule, bob)]).toEqual([false, true])
    write('r.json', '{"deny":[],"allow":"everyone"')
    expect(() => rule.reload()).toThrow(`rules: ${folder('r.json')}: line 1, column 30`)
    expect([await holds(rule, alice), await holds(rule, bob)]).toEqual([false, true])
  })

  test('its denials count for the whole rule it stands in', async () => {
    write('deny.json', { deny: [{ commonName: 'alice' }], allow: 'everyone' })
    const rule = rules.any(rules.dnsName('a.test'), rules.document({ file: folder('deny.json'), watch: false }))
    expect(await holds(rule, await of({ subject: 'CN=alice', names: { dns: ['a.test'] } }))).toBe(false)
    expect(await holds(rule, await of({ subject: 'CN=bob', names: { dns: ['a.test'] } }))).toBe(true)
    expect(() => rules.not(rules.document({ file: folder('deny.json'), watch: false }))).toThrow(
      /a denial turned round/,
    )
  })

  test('is watched, as the rules of an authenticator: a change counts for those who were accepted before; a broken one changes nothing', async () => {
    jest.useFakeTimers()
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
    write('watched.json', { identities: [{ commonName: 'alice' }] })
    const auth = createAuthenticator({
      trust: pki.trust,
      revocation: 'none',
      log: false,
      now: () => noon.getTime(),
      rules: { file: folder('watched.json') },
    })
    const alice = await pki.issue({ subject: 'CN=alice' })
    const ask = async () =>
      (
        await auth.authenticateChain({
          certificate: alice.certificate.der,
          intermediates: alice.chain.map(({ der }) => der),
          via: 'tls',
        })
      ).outcome
    expect(await ask()).toBe('accepted')
    write('watched.json', { identities: [{ commonName: 'bob' }] })
    await jest.advanceTimersByTimeAsync(2_000)
    expect(await ask()).toBe('refused')
    write('watched.json', '{"identities":[{"commonName":"alice"},]}')
    await jest.advanceTimersByTimeAsync(2_000)
    expect(await ask()).toBe('refused')
    expect(warn.mock.calls.map(([message]) => String(message))).toEqual([
      expect.stringMatching(/line 1, column 39: unexpected "]".*the former rules hold/),
    ])
    write('watched.json', { identities: [{ commonName: 'alice' }] })
    await jest.advanceTimersByTimeAsync(2_000)
    expect(await ask()).toBe('accepted')
    await auth.close()
    expect(jest.getTimerCount()).toBe(0)
    warn.mockRestore()
    jest.useRealTimers()
  })

  test('a document as the rules option', async () => {
    const options = { trust: pki.trust, rules: { identities: [{ commonName: 'alice' }] } }
    expect((await present(await pki.issue({ subject: 'CN=alice' }), options)).decision.outcome).toBe('accepted')
    expect((await present(await pki.issue({ subject: 'CN=bob' }), options)).line).toMatch(
      /ERR_CLIENT_CERT_RULE: any\(commonName\("alice"\)\) did not hold; the certificate has "bob"/,
    )
  })

  test.each<[string, unknown, RegExp]>([
    ['no file', { file: './none.json' }, /rules: cannot read \.\/none\.json \(ENOENT\)/],
    ['an empty path', { file: '' }, /file is a path/],
    ['an unknown option', { file: './none.json', wach: 1 }, /Did you mean "watch"\?/],
    ['a list', [], /expected a document or a file/],
    ['nothing', undefined, /expected a document or a file/],
    ['a text', './rules.json', /expected a document or a file/],
  ])('%s is refused', (_, given, says) => {
    expect(thrownBy(() => rules.document(given as never))).toMatch(says)
  })

  test('a file that is no UTF-8 is refused', () => {
    writeFileSync(folder('latin1.json'), Buffer.from('{"allow":{"commonName":"Zo\xeb"}}', 'latin1'))
    expect(thrownBy(() => rules.document({ file: folder('latin1.json') }))).toMatch(/is not UTF-8/)
  })

  test.each<[string, unknown]>([
    ['a list', []],
    ['a function', () => true],
    ['a text', 'x'],
    ['null', null],
    ['an empty object', {}],
  ])('%s as the rules option is refused', (_, given) => {
    expect(() => createAuthenticator({ trust: pki.trust, revocation: 'none', rules: given as never })).toThrow(
      ClientCertConfigError,
    )
  })
})
