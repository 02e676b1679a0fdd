/** Azure API Management's policies: what they become here, decides as documented there. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { apimPolicy } from '../../src/apim.js'
import { ClientCertConfigError } from '../../src/errors.js'
import { rules } from '../../src/index.js'
import type { RuleDocument } from '../../src/rules/rule-document.js'
import {
  createTestAuthority,
  createTestPki,
  type IssueOptions,
  type TestCredential,
  type TestPki,
} from '../../src/testing.js'
import { day, fromNoon, hour, noon, present, thrownBy } from '../support/pki.js'

let pki: TestPki
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
})

const fingerprint = 'ab'.repeat(32)
const policy = (attributes: string, identities = '') =>
  `<policies><inbound><base /><validate-client-certificate ${attributes}>${identities}</validate-client-certificate></inbound></policies>`
const listed = (...identities: string[]) =>
  `<identities>${identities.map((one) => `<identity ${one} />`).join('')}</identities>`

describe('switches', () => {
  test('the defaults of APIM', () => {
    const { mode, options, rules: found, notes } = apimPolicy('<validate-client-certificate />')
    expect([mode, options, found]).toEqual(['required', { profile: 'compatible' }, undefined])
    expect(notes).toEqual([
      expect.stringContaining('validate-revocation="true": give revocation a checker'),
      expect.stringContaining('validate-trust="true": give trust the CA'),
    ])
  })

  test('what each becomes, and what cannot be carried over', () => {
    const given =
      'validate-revocation="false" validate-not-before="false" validate-not-after="false" ignore-error="true"'
    const { mode, options, notes } = apimPolicy(policy(given))
    expect([mode, options]).toEqual(['report-only', { profile: 'compatible', revocation: 'none' }])
    expect(notes.filter((note) => note.includes('cannot be carried over'))).toHaveLength(2)
    expect(notes).toContainEqual(expect.stringContaining("mode: 'report-only'"))
  })

  test('validate-trust="false" needs SHA-256 pins for everybody', () => {
    const free = 'validate-trust="false"'
    expect(apimPolicy(policy(free, listed(`thumbprint="${fingerprint}"`))).notes).toContainEqual(
      expect.stringContaining('{ pinned:'),
    )
    for (const identities of ['', listed('common-name="a"'), listed(`thumbprint="${fingerprint}"`, 'subject="CN=a"')]) {
      expect(thrownBy(() => apimPolicy(policy(free, identities)))).toMatch(/every identity needs a SHA-256 thumbprint/)
    }
    const sha1 = listed(`thumbprint="${'ab'.repeat(20)}"`)
    expect(thrownBy(() => apimPolicy(policy(free, sha1), { dangerouslyAllowSha1Thumbprints: true }))).toMatch(
      /no SHA-1/,
    )
  })
})

describe('identities', () => {
  test('every attribute', () => {
    const xml = policy(
      '',
      listed(
        `thumbprint="${fingerprint}"`,
        'serial-number="0A" issuer-subject="CN=x"',
        'common-name="c" dns-name="d.test" subject="CN=s"',
        `issuer-thumbprint="${fingerprint}" common-name="e"`,
      ),
    )
    expect(apimPolicy(xml).rules).toEqual({
      identities: [
        { thumbprint: fingerprint },
        { serialNumber: '0A', issuerSubject: 'CN=x' },
        { commonName: 'c', dnsName: 'd.test', subject: 'CN=s' },
        { issuerThumbprint: fingerprint, commonName: 'e' },
      ],
    })
  })

  test('an uploaded certificate is named by its id, and looked up where it is told', () => {
    const xml = policy('', listed('issuer-certificate-id="contoso" common-name="a"'))
    expect(thrownBy(() => apimPolicy(xml))).toMatch(/certificates: \{ "contoso": its SHA-256 fingerprint or PEM \}/)
    expect(apimPolicy(xml, { certificates: { contoso: fingerprint } }).rules).toEqual({
      identities: [{ commonName: 'a', issuerThumbprint: fingerprint }],
    })
    const two = policy('', listed('issuer-certificate-id="contoso" issuer-subject="CN=a"'))
    expect(thrownBy(() => apimPolicy(two, { certificates: { contoso: fingerprint } }))).toMatch(
      /beside another word for the issuer/,
    )
  })

  test('a SHA-1 thumbprint is told to move', () => {
    const xml = policy('', listed(`thumbprint="${'AB'.repeat(20)}"`))
    expect(thrownBy(() => apimPolicy(xml))).toMatch(/identities\[0\]\.thumbprint: fingerprint\(.*is SHA-1/)
    expect(apimPolicy(xml, { dangerouslyAllowSha1Thumbprints: true }).rules).toEqual({
      identities: [{ thumbprint: 'AB'.repeat(20) }],
    })
  })
})

describe('the documented example, as given', () => {
  const documented = `
<validate-client-certificate
    validate-revocation="true"
    validate-trust="true"
    validate-not-before="true"
    validate-not-after="true"
    ignore-error="false">
    <identities>
        <identity
            subject="C=US, ST=Illinois, L=Chicago, O=Contoso Corp., CN=*.contoso.com"
            issuer-subject="C=BE, O=FancyCert CA nv-sa, CN=FancyCert Organization Validation CA - SHA256 - G2" />
    </identities>
</validate-client-certificate>`
  const subject = 'CN=*.contoso.com,O=Contoso Corp.,L=Chicago,ST=Illinois,C=US'

  test('admits that client of that issuer, and nobody else', async () => {
    const fancy = await createTestAuthority({
      now: noon,
      subject: 'CN=FancyCert Organization Validation CA - SHA256 - G2,O=FancyCert CA nv-sa,C=BE',
    })
    const other = await createTestAuthority({ now: noon, subject: 'CN=Other CA,C=BE' })
    const { options, rules: found } = apimPolicy(documented)
    const verdict = async (credential: TestCredential) => {
      const trust = [fancy.certificate.pem, other.certificate.pem]
      const { decision } = await present(credential, { trust, ...options, rules: found as RuleDocument })
      return decision.outcome === 'accepted' ? 'accepted' : decision.error.code
    }
    expect(await verdict(await fancy.issue({ subject }))).toBe('accepted')
    expect(await verdict(await fancy.issue({ subject, extendedKeyUsage: false }))).toBe('accepted')
    expect(await verdict(await other.issue({ subject }))).toBe('ERR_CLIENT_CERT_RULE')
    for (const wrong of [
      'CN=www.contoso.com,O=Contoso Corp.,L=Chicago,ST=Illinois,C=US',
      'CN=*.contoso.com,O=Contoso Corp.,L=Chicago,C=US',
      `${subject},O=x`,
    ]) {
      expect(await verdict(await fancy.issue({ subject: wrong }))).toBe('ERR_CLIENT_CERT_RULE')
    }
    expect(
      await verdict(await fancy.issue({ subject, notBefore: fromNoon(-2 * day), notAfter: fromNoon(-hour) })),
    ).toBe('ERR_CLIENT_CERT_EXPIRED')
  })

  test('a subject with a comma in quotation marks', () => {
    const xml = policy('', listed('subject="CN=a, O=&quot;Contoso, Inc.&quot;"'))
    expect(apimPolicy(xml).rules).toEqual({ identities: [{ subject: 'CN=a, O="Contoso, Inc."' }] })
  })
})

describe('a condition in C# is refused, with the rules that say the same', () => {
  const condition = (text: string) => `
<policies><inbound><choose>
  <when condition="@(${text})">
    <return-response><set-status code="403" reason="Invalid client certificate" /></return-response>
  </when>
</choose></inbound></policies>`
  const usual = condition(
    'context.Request.Certificate == null || !context.Request.Certificate.Verify() || context.Request.Certificate.Issuer != "CN=Test Intermediate CA" || context.Request.Certificate.SubjectName.Name != "CN=client.acme.test"',
  )

  test('certificate null, Verify(), Issuer, SubjectName, 403', () => {
    expect(thrownBy(() => apimPolicy(usual))).toBe(
      'ClientCertConfigError: apimPolicy: a condition in C# is code, and is not run — the same here: rules: rules.all(rules.issuerName("CN=Test Intermediate CA"), rules.subject("CN=client.acme.test")); certificate null: mode \'required\', the default; Verify(): trust: your CA, and revocation: a checker; <return-response> becomes responses or onDenied of clientCert()',
    )
  })

  test.each<[string, IssueOptions, string]>([
    ['the client', { subject: 'CN=client.acme.test' }, 'accepted'],
    ['another subject', { subject: 'CN=other.acme.test' }, 'ERR_CLIENT_CERT_RULE'],
    ['a subject with more in it', { subject: 'CN=client.acme.test,O=x' }, 'ERR_CLIENT_CERT_RULE'],
    [
      'one that has ended',
      { subject: 'CN=client.acme.test', notBefore: fromNoon(-2 * day), notAfter: fromNoon(-day) },
      'ERR_CLIENT_CERT_EXPIRED',
    ],
  ])('and they decide as the policy does: %s', async (_, given, expected) => {
    const printed = rules.all(rules.issuerName('CN=Test Intermediate CA'), rules.subject('CN=client.acme.test'))
    const { decision } = await present(await pki.issue(given), { trust: pki.trust, rules: printed })
    expect(decision.outcome === 'accepted' ? 'accepted' : decision.error.code).toBe(expected)
  })

  test('and they decide as the policy does: another issuer, and an issuer of that name that is not trusted', async () => {
    const printed = rules.all(rules.issuerName('CN=Test Intermediate CA'), rules.subject('CN=client.acme.test'))
    const other = await pki.root.issue({ subject: 'CN=client.acme.test' })
    expect((await present(other, { trust: pki.trust, rules: printed })).decision).toMatchObject({
      error: { code: 'ERR_CLIENT_CERT_RULE' },
    })
    const namesake = await createTestAuthority({ now: noon, subject: 'CN=Test Intermediate CA' })
    const { decision } = await present(await namesake.issue({ subject: 'CN=client.acme.test' }), {
      trust: pki.trust,
      rules: printed,
    })
    expect(decision.outcome).toBe('refused')
  })

  test.each<[string, string, RegExp]>([
    [
      'the allow-list idiom',
      'context.Request.Certificate == null || !context.Deployment.Certificates.Any(c => c.Value.Thumbprint == context.Request.Certificate.Thumbprint)',
      /rules: rules\.listed\(\{ directory: '\.\/clients\.d' \}\)/,
    ],
    [
      'a thumbprint',
      'context.Request.Certificate == null || context.Request.Certificate.Thumbprint != "DESIRED"',
      /rules\.fingerprint\("SHA-256 of the certificate with the SHA-1 thumbprint DESIRED"\)/,
    ],
    [
      'what is not known',
      'context.Request.Certificate == null || context.Request.Certificate.Version < 3',
      /rules: no rules;.*yours to write, as rules\.custom\(…\): context\.Request\.Certificate\.Version/,
    ],
    [
      'validity',
      'context.Request.Certificate.NotBefore > DateTime.UtcNow || context.Request.Certificate.NotAfter < DateTime.Now',
      /rules: no rules; NotBefore, NotAfter: always checked; <return-response>/,
    ],
    [
      'validity the other way round',
      'context.Request.Certificate.NotAfter > DateTime.Now',
      /yours to write, as rules\.custom\(…\): context\.Request\.Certificate\.NotAfter/,
    ],
    [
      'a part of the subject',
      '!context.Request.Certificate.Subject.Contains("CN=a")',
      /rules: rules\.subject\(\{"CN":"a"\}\); Contains\(\) took every longer value too/,
    ],
    [
      'a part that is no attribute',
      '!context.Request.Certificate.Subject.Contains("acme")',
      /rules: no rules;.*yours to write/,
    ],
    [
      'a condition turned round as a whole',
      '!(context.Request.Certificate == null || context.Request.Certificate.Issuer != "CN=x")',
      /yours to write/,
    ],
    [
      'one that is spread over lines',
      'context.Request\n  .Certificate.Issuer != &quot;CN=x&quot;',
      /rules: rules\.issuerName\("CN=x"\); <return-response>/,
    ],
    [
      'conditions joined by &&',
      'context.Request.Certificate != null &amp;&amp; context.Request.Certificate.Issuer != "a"',
      /yours to write/,
    ],
    ['with &quot;', 'context.Request.Certificate.Issuer != &quot;CN=x&quot;', /rules: rules\.issuerName\("CN=x"\)/],
  ])('%s', (_, text, says) => {
    expect(thrownBy(() => apimPolicy(condition(text)))).toMatch(says)
    expect(() => apimPolicy(condition(text))).toThrow(ClientCertConfigError)
  })
})

describe('what stands around the element', () => {
  const one = '<validate-client-certificate />'
  const forbid = '<return-response><set-status code="403" /></return-response>'
  const inbound = (text: string) => `<policies><inbound>${text}</inbound></policies>`

  test('what is beside it is named, once each', () => {
    const { notes } = apimPolicy(inbound(`<base /><ip-filter action="allow" />${one}<ip-filter action="forbid" />`))
    expect(notes.at(-1)).toBe('not read: <base>, <ip-filter> — what of it refuses somebody is yours to carry over')
    for (const alone of [one, inbound(one), `<fragment>${one}</fragment>`]) {
      expect(apimPolicy(alone).notes).not.toContainEqual(expect.stringContaining('not read'))
    }
  })

  test.each<[string, string, RegExp]>([
    [
      'a condition around it',
      inbound(`<choose><when condition="@(context.Request.Method == &quot;GET&quot;)">${one}</when></choose>`),
      /stands in <choose>, and so not in the way of every request — give apimPolicy\(\) the .* element alone/,
    ],
    ['another section', `<policies><inbound /><outbound>${one}</outbound></policies>`, /stands in <outbound>/],
    [
      'one for each case',
      inbound(`<choose><when>${one}</when><otherwise>${one}</otherwise></choose>`),
      /holds 2 .* alone/,
    ],
    ['none', inbound('<base />'), /holds 0 .* forwardedHeader\(\{ … \}\)/],
    [
      'a condition in C# beside it',
      inbound(`<choose><when condition="@(context.Request.Certificate == null)">${forbid}</when></choose>${one}`),
      /certificate null: mode 'required', the default;.*; then give apimPolicy\(\) the .* element alone$/,
    ],
    [
      'a variable of which a condition is made',
      inbound(`<set-variable name="t" value="@(context.Request.Certificate.Thumbprint)" />${one}`),
      /a condition in C#/,
    ],
    [
      'a header of a request that is asked for a decision',
      inbound(
        `<send-request><set-header name="t"><value>@(context.Request.Certificate.Thumbprint)</value></set-header></send-request>${one}`,
      ),
      /a condition in C#/,
    ],
    [
      'C# with bare quotation marks, as the gateway takes it',
      inbound(
        `<choose><when condition="@(context.Request.Certificate.Issuer != "CN=x")">${forbid}</when></choose>${one}`,
      ),
      /rules\.issuerName\("CN=x"\).*element alone$/,
    ],
    [
      'a subject with bare quotation marks, as it is documented',
      policy('', listed('subject="O="Contoso, Inc.", CN=a"')),
      /line 1, .* — inside of a value XML writes &quot;/,
    ],
  ])('%s is refused, with the fix', (_, xml, says) => {
    expect(thrownBy(() => apimPolicy(xml))).toMatch(says)
    expect(() => apimPolicy(xml)).toThrow(ClientCertConfigError)
  })

  test.each<[string, string]>([
    ['a header', '<set-header name="t"><value>@(context.Request.Certificate.Thumbprint)</value></set-header>'],
    ['a count', '<rate-limit-by-key counter-key="@(context.Request.Certificate.Thumbprint)" />'],
    ['a comment', '<!-- context.Request.Certificate -->'],
  ])('a certificate that is only in %s decides nothing', (_, beside) => {
    expect(apimPolicy(inbound(`${one}${beside}`)).mode).toBe('required')
  })

  test('the id of traces is no switch', () => {
    expect(apimPolicy('<validate-client-certificate id="mtls" />').mode).toBe('required')
    expect(thrownBy(() => apimPolicy(policy('', listed('id="a" common-name="b"'))))).toMatch(/unknown "id"/)
  })
})

describe('values', () => {
  test('numeric character references are read', () => {
    expect(apimPolicy(policy('', listed('common-name="M&#252;ller &#x26; S&amp;#246;hne"'))).rules).toEqual({
      identities: [{ commonName: 'Müller & S&#246;hne' }],
    })
  })

  test('blanks at the ends of a common name are part of it', () => {
    expect(apimPolicy(policy('', listed('common-name=" a "'))).rules).toEqual({ identities: [{ commonName: ' a ' }] })
  })

  test('a dns-name with a wildcard is refused, as it means the one in the certificate', () => {
    expect(thrownBy(() => apimPolicy(policy('', listed('dns-name="*.acme.test"'))))).toMatch(
      /identities\[0\]\.dnsName: .*name the hosts; or, for every label, \{ "allow": \{ "dnsName": "\*\.acme\.test" \} \}/,
    )
    expect(apimPolicy(policy('', listed('dns-name="a.acme.test"'))).rules).toEqual({
      identities: [{ dnsName: 'a.acme.test' }],
    })
  })

  test('an issuer in SHA-1 is told the command for the CA', () => {
    expect(thrownBy(() => apimPolicy(policy('', listed(`issuer-thumbprint="${'AB'.repeat(20)}"`))))).toMatch(
      /is SHA-1 \(20 bytes\) — use SHA-256: openssl x509 -in ca\.pem /,
    )
  })
})

describe('what cannot be meant is refused', () => {
  test.each<[string, string, RegExp]>([
    ['no XML', 'x', /the text is no XML/],
    ['XML that is not closed', '<validate-client-certificate>', /line 1/],
    ['no element', '<policies />', /holds 0 <validate-client-certificate> elements/],
    ['two elements', '<a><validate-client-certificate /><validate-client-certificate /></a>', /holds 2/],
    ['an unknown switch', policy('validate-trus="true"'), /unknown "validate-trus"\. Did you mean "validate-trust"\?/],
    ['a switch that is neither', policy('validate-trust="no"'), /validate-trust is "no", expected "true" or "false"/],
    ['an expression', policy('ignore-error="@(true)"'), /ignore-error is "@\(true\)"/],
    ['an unknown child', policy('', '<identity />'), /unknown "identity"/],
    ['identities twice', policy('', listed('common-name="a"') + listed('common-name="b"')), /stands there twice/],
    ['empty identities', policy('', '<identities />'), /<identities> is empty/],
    ['an identity of nothing', policy('', listed('')), /identities\[0\]: is empty, and would hold for everyone/],
    [
      'an unknown attribute',
      policy('', listed('commonname="a"')),
      /identity 1: unknown "commonname"\. Did you mean "common-name"\?/,
    ],
    ['an empty value', policy('', listed('common-name=""')), /common-name is empty/],
    ['a named value', policy('', listed('common-name="{{partner}}"')), /common-name is a named value or an expression/],
    [
      'an expression as value',
      policy('', listed('common-name="@(context.User.Id)"')),
      /a named value or an expression/,
    ],
    ['a subject that is none', policy('', listed('subject="alice"')), /identities\[0\]\.subject: subject\("alice"\)/],
    [
      "Terraform's placeholder",
      policy('', listed(`common-name="${'$'}{var.client}"`)),
      /or a template's — write the value itself/,
    ],
    ["a pipeline's placeholder", policy('', listed('common-name="#{client}#"')), /or a template's/],
    [
      'an invisible character',
      policy('', listed(`common-name="\u200ealice"`)),
      /common-name holds an invisible character \(U\+200E\)/,
    ],
    [
      'attributes behind a tag that was closed too early',
      '<validate-client-certificate> validate-trust="false" <identities><identity common-name="a" /></identities></validate-client-certificate>',
      /holds the text "validate-trust=.* — attributes stand inside of the tag/,
    ],
    [
      'text in identities',
      policy('', '<identities>a<identity common-name="b" /></identities>'),
      /<identities>: holds the text "a"/,
    ],
    [
      'text in an identity',
      policy('', '<identities><identity common-name="b">c</identity></identities>'),
      /identity 1: holds the text "c"/,
    ],
    ['nesting without end', `${'<a>'.repeat(500)}${'</a>'.repeat(500)}`, /nested.* — give apimPolicy\(\) the/],
    [
      'a name that is none',
      '<a><validate-client-certificate /><b __proto__="c" /></a>',
      /__proto__.* — give apimPolicy\(\)/,
    ],
    ['a DOCTYPE', `<!DOCTYPE x [<!ENTITY a "b">]>${policy('')}`, /no DOCTYPE/],
    ['a path', './policy.xml', /the text is no XML — the policy itself, not its path/],
    ['nothing', '', /the text is no XML/],
    ['a tag that does not end', '<policies', /apimPolicy: line 1(, column \d+)?: /],
    ['an attribute twice', policy('validate-trust="true" validate-trust="false"'), /line 1/],
  ])('%s', (_, xml, says) => {
    expect(thrownBy(() => apimPolicy(xml))).toMatch(says)
    expect(() => apimPolicy(xml)).toThrow(ClientCertConfigError)
  })

  test('options it does not know, and what is no text', () => {
    expect(thrownBy(() => apimPolicy('<a/>', { certificate: {} } as never))).toMatch(/Did you mean "certificates"\?/)
    expect(thrownBy(() => apimPolicy(undefined as never))).toMatch(/expected XML text, got undefined/)
  })
})
