// Compiled, never run: the CommonJS spelling of types.mts, and the typing of `principal` by declaration merging.
import express = require('express')
import Koa = require('koa')
import core = require('mtls-identity')
import forExpress = require('mtls-identity/express')
import forKoa = require('mtls-identity/koa')
import path = require('mtls-identity/path')
import rateLimit = require('mtls-identity/rate-limit')
import rules = require('mtls-identity/rules')
import testing = require('mtls-identity/testing')

interface Partner {
  tenant: string
}
declare module 'mtls-identity' {
  interface Register {
    principal: Partner
  }
}

const authenticator = core.createAuthenticator({
  trust: './a.pem',
  revocation: 'none',
  rules: rules.any(rules.commonName('admin'), core.rules.dnsName('a.test')),
  resolve: async (identity) => (identity.subject.get('O') === 'Acme' ? { tenant: 'acme' } : undefined),
})
// @ts-expect-error not a Partner
core.createAuthenticator({ trust: './a.pem', resolve: () => ({ tenants: [] }) })
// @ts-expect-error the principal is a Partner, and no name is one
core.createAuthenticator({ trust: './a.pem', principalFrom: 'email' })
// @ts-expect-error nothing to hold would hold for everyone
rules.any()

rateLimit.rateLimitKey(({ principal }) => principal?.tenant)
// @ts-expect-error not in a Partner
rateLimit.rateLimitKey(({ principal }) => principal?.name)

express().use(forExpress.clientCert({ authenticator }), (req, res) => {
  const tenant: string | undefined = forExpress.clientIdentity(req).principal?.tenant
  const who: core.ClientIdentity | undefined = req.clientIdentity
  // @ts-expect-error it may be undefined
  req.clientIdentity.principal
  res.json({ tenant, who })
})

new Koa().use(forKoa.clientCert({ authenticator })).use((ctx) => {
  const who: core.ClientIdentity | undefined = ctx.clientIdentity
  // @ts-expect-error not in a Partner
  ctx.body = who?.principal?.nonsense
})

export async function run(der: Uint8Array): Promise<string> {
  const result = await path.validateCertificationPath({
    certificate: der,
    trustAnchors: [der],
    at: new Date(0),
  })
  await testing.createTestPki()
  return result.valid ? 'valid' : result.error.help
}
