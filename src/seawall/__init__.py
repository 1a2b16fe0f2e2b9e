"""Seawall: will the service stand when the wave hits?"""
