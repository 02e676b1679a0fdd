import express from 'express'
import Koa from 'koa'
import * as core from 'mtls-identity'
import * as apim from 'mtls-identity/apim'
import * as forExpress from 'mtls-identity/express'
import * as forKoa from 'mtls-identity/koa'
import * as oauth from 'mtls-identity/oauth'
import * as opentelemetry from 'mtls-identity/opentelemetry'
import * as path from 'mtls-identity/path'
import * as prometheus from 'mtls-identity/prometheus'
import * as rateLimit from 'mtls-identity/rate-limit'
import * as rules from 'mtls-identity/rules'
import * as server from 'mtls-identity/server'
import * as testing from 'mtls-identity/testing'
import { Registry } from 'prom-client'
import scenario from './scenario.cjs'

console.log(
  JSON.stringify(
    await scenario({
      Registry,
      express,
      Koa,
      core,
      forExpress,
      forKoa,
      apim,
      oauth,
      opentelemetry,
      path,
      prometheus,
      rateLimit,
      rules,
      server,
      testing,
    }),
  ),
)
