const { default: Koa } = require('koa')
const scenario = require('./scenario.cjs')

scenario({
  express: require('express'),
  Koa: Koa ?? require('koa'),
  core: require('mtls-identity'),
  forExpress: require('mtls-identity/express'),
  forKoa: require('mtls-identity/koa'),
  path: require('mtls-identity/path'),
  rules: require('mtls-identity/rules'),
  testing: require('mtls-identity/testing'),
}).then((seen) => console.log(JSON.stringify(seen)))
